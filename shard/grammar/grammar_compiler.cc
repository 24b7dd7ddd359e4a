#include "shard/grammar/grammar_compiler.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/grammar/apply_mask.h"
#include "shard/grammar/call_grammar.h"
#include "shard/grammar/compiled_grammar.h"
#include "shard/grammar/ebnf_check.h"
#include "shard/grammar/pattern_grammar.h"
#include "shard/grammar/schema_grammar.h"

namespace facet {
namespace {

using CompiledOr = absl::StatusOr<std::shared_ptr<const CompiledGrammar>>;

// Two specs with the same key are the same grammar.
std::string KeyOf(const GrammarSpec& spec) {
  std::string key;
  const auto add = [&key](absl::string_view part) {
    absl::StrAppend(&key, part.size(), ":", part);
  };
  absl::StrAppend(&key, static_cast<int>(spec.kind), ",", static_cast<int>(spec.tool_choice), ",",
                  spec.parallel_tool_calls, ",");
  add(spec.text);
  add(spec.tool_name);
  for (const ToolSpec& tool : spec.tools) {
    add(tool.name);
    add(tool.parameters);
  }
  return key;
}

// Compiled grammars by key, the least recently used dropped when they come to too many bytes.
// Not thread-safe.
class GrammarCache {
 public:
  explicit GrammarCache(size_t max_bytes) : max_bytes_(max_bytes) {}

  std::shared_ptr<const CompiledGrammar> Find(const std::string& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return entries_.front().grammar;
  }

  void Insert(const std::string& key, std::shared_ptr<const CompiledGrammar> grammar) {
    const size_t bytes = grammar->bytes() + 2 * key.size();
    if (bytes > max_bytes_ || index_.contains(key)) return;
    entries_.push_front({key, std::move(grammar), bytes});
    index_[key] = entries_.begin();
    bytes_ += bytes;
    while (bytes_ > max_bytes_) {
      bytes_ -= entries_.back().bytes;
      index_.erase(entries_.back().key);
      entries_.pop_back();
    }
  }

  size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const CompiledGrammar> grammar;
    size_t bytes;
  };
  const size_t max_bytes_;
  size_t bytes_ = 0;
  std::list<Entry> entries_;  // most recently used first
  absl::flat_hash_map<std::string, std::list<Entry>::iterator> index_;
};

// One compilation, shared by the thread that does it and the one that waits.
struct Job {
  std::mutex mutex;
  std::condition_variable done;
  std::optional<CompiledOr> result;
};

std::shared_ptr<const MaskVocabulary> MakeMaskVocabulary(const GrammarVocabulary& vocabulary) {
  auto result = std::make_shared<MaskVocabulary>();
  result->ids = static_cast<int32_t>(vocabulary.pieces.size());
  result->end_ids = vocabulary.end_ids;
  result->call_end = vocabulary.call.call_end;
  const auto& ends = vocabulary.end_ids;
  if (std::find(ends.begin(), ends.end(), vocabulary.call_wait) != ends.end()) {
    result->call_wait = vocabulary.call_wait;
  }
  result->thought_begin = vocabulary.thought_begin;
  result->thought_end = vocabulary.thought_end;
  result->thought_mask.resize(MaskWords(vocabulary.pieces.size()));
  for (int32_t id = 0; id < result->ids; ++id) {
    if (vocabulary.pieces[id].empty() && id != vocabulary.thought_end) continue;
    result->thought_mask[id / 32] |= uint32_t{1} << (id % 32);
  }
  result->answer_mask = result->thought_mask;
  if (vocabulary.thought_end >= 0) {
    result->answer_mask[vocabulary.thought_end / 32] &=
        ~(uint32_t{1} << (vocabulary.thought_end % 32));
  }
  for (const int32_t id :
       {vocabulary.call.call_begin, vocabulary.call.call_end, vocabulary.call.quote}) {
    if (id >= 0) result->answer_mask[id / 32] |= uint32_t{1} << (id % 32);
  }
  for (const int32_t id : ends) result->answer_mask[id / 32] |= uint32_t{1} << (id % 32);
  for (const int32_t id : ends) result->thought_mask[id / 32] &= ~(uint32_t{1} << (id % 32));
  return result;
}

// The library takes ids without text out of every mask, even where a rule names them. The tokens of
// calls therefore get a text that no rule can match: it is not UTF-8.
std::vector<std::string> LibraryPieces(const GrammarVocabulary& vocabulary) {
  std::vector<std::string> pieces = vocabulary.pieces;
  const CallTokens& call = vocabulary.call;
  for (const int32_t id : {call.call_begin, call.call_end, call.quote}) {
    if (id >= 0) pieces[id] = absl::StrCat("\xFF", id);
  }
  return pieces;
}

}  // namespace

std::string LibraryMessage(const std::exception& error) {
  const std::string what = error.what();
  // "[time] path/file.cc:line: message".
  const size_t file = what.find(".cc:");
  const size_t begin = file == std::string::npos ? std::string::npos : what.find(": ", file);
  std::string message = begin == std::string::npos ? what : what.substr(begin + 2);
  while (!message.empty() && message.back() == '\n') message.pop_back();
  return message;
}

CompiledGrammar::CompiledGrammar(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
CompiledGrammar::~CompiledGrammar() = default;
size_t CompiledGrammar::bytes() const { return parts_->bytes; }
int32_t CompiledGrammar::mask_ids() const { return parts_->vocabulary->ids; }

// Held by the compiler and by every thread that still compiles.
struct GrammarCompiler::Shared {
  Shared(const GrammarVocabulary& given, const GrammarCompilerOptions& limits)
      : options(limits),
        call(given.call),
        vocabulary(MakeMaskVocabulary(given)),
        tokenizer(LibraryPieces(given), xgrammar::VocabType::RAW,
                  static_cast<int>(given.pieces.size()), given.end_ids),
        cache(limits.cache_bytes) {}

  CompiledOr CompileNow(const std::string& ebnf) const {
    try {
      // One thread, no cache: requests compile side by side, and the cache is ours.
      xgrammar::GrammarCompiler compiler(tokenizer, /*max_threads=*/1, /*cache_enabled=*/false);
      auto grammar = compiler.CompileGrammar(ebnf, "root");
      const size_t bytes = grammar.MemorySizeBytes();
      if (bytes > options.max_grammar_bytes) {
        return absl::InvalidArgumentError(absl::StrCat("the compiled grammar has ", bytes,
                                                       " bytes; the limit is ",
                                                       options.max_grammar_bytes));
      }
      auto parts = std::make_unique<CompiledGrammar::Parts>(
          CompiledGrammar::Parts{vocabulary, std::move(grammar), bytes});
      return std::shared_ptr<const CompiledGrammar>(new CompiledGrammar(std::move(parts)));
    } catch (const std::bad_alloc&) {
      return absl::ResourceExhaustedError("no memory to compile the grammar");
    } catch (const std::exception& error) {
      return absl::InvalidArgumentError(absl::StrCat("grammar: ", LibraryMessage(error)));
    }
  }

  void Run(const std::string& key, const std::string& ebnf, Job& job) {
    CompiledOr result = CompileNow(ebnf);
    {
      // Before the waiter wakes: what it compiles next must find the place free.
      const std::lock_guard lock(mutex);
      if (result.ok()) cache.Insert(key, *result);
      --running;
      idle.notify_all();
    }
    const std::lock_guard lock(job.mutex);
    job.result = std::move(result);
    job.done.notify_all();
  }

  const GrammarCompilerOptions options;
  const CallTokens call;
  const std::shared_ptr<const MaskVocabulary> vocabulary;
  const xgrammar::TokenizerInfo tokenizer;

  mutable std::mutex mutex;
  std::condition_variable idle;
  GrammarCache cache;  // guarded by mutex
  int running = 0;     // guarded by mutex
  int64_t hits = 0;    // guarded by mutex
};

GrammarCompiler::GrammarCompiler(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

GrammarCompiler::~GrammarCompiler() {
  std::unique_lock lock(shared_->mutex);
  shared_->idle.wait(lock, [&] { return shared_->running == 0; });
}

absl::StatusOr<std::unique_ptr<GrammarCompiler>> GrammarCompiler::Create(
    const GrammarVocabulary& vocabulary, const GrammarCompilerOptions& options) {
  const auto size = static_cast<int32_t>(vocabulary.pieces.size());
  if (size == 0 || vocabulary.end_ids.empty()) {
    return absl::FailedPreconditionError("structured output needs a vocabulary and an end token");
  }
  for (const int32_t id : vocabulary.end_ids) {
    if (id < 0 || id >= size) {
      return absl::FailedPreconditionError(absl::StrCat("end id ", id, " of ", size, " ids"));
    }
  }
  try {
    return std::unique_ptr<GrammarCompiler>(
        new GrammarCompiler(std::make_shared<Shared>(vocabulary, options)));
  } catch (const std::exception& error) {
    return absl::FailedPreconditionError(absl::StrCat("vocabulary: ", LibraryMessage(error)));
  }
}

absl::StatusOr<std::string> GrammarCompiler::ToEbnf(const GrammarSpec& spec) const {
  const auto with_root = [](const SchemaGrammar& grammar) {
    return absl::StrCat("root ::= ", grammar.root, "\n", grammar.rules);
  };
  switch (spec.kind) {
    case GrammarSpec::Kind::kJsonObject:
      return with_root(AnyObjectGrammar({}));
    case GrammarSpec::Kind::kJsonSchema: {
      FACET_ASSIGN_OR_RETURN(const SchemaGrammar grammar, SchemaToGrammar(spec.text, {}));
      return with_root(grammar);
    }
    case GrammarSpec::Kind::kRegex: {
      FACET_ASSIGN_OR_RETURN(const std::string expression,
                             PatternToEbnf(spec.text, {.whole = true, .raw = true}));
      return absl::StrCat("root ::= ", expression, "\n");
    }
    case GrammarSpec::Kind::kEbnf:
      FACET_RETURN_IF_ERROR(CheckCallersEbnf(spec.text));
      return spec.text;
    case GrammarSpec::Kind::kToolCalls:
      return ToolCallGrammar(spec, shared_->call);
  }
  return absl::InvalidArgumentError("unknown kind of grammar");
}

std::shared_ptr<const CompiledGrammar> GrammarCompiler::Find(const GrammarSpec& spec) {
  const std::string key = KeyOf(spec);
  const std::lock_guard lock(shared_->mutex);
  auto found = shared_->cache.Find(key);
  if (found != nullptr) ++shared_->hits;
  return found;
}

CompiledOr GrammarCompiler::Compile(const GrammarSpec& spec) {
  if (auto found = Find(spec)) return found;
  const std::string key = KeyOf(spec);
  FACET_ASSIGN_OR_RETURN(const std::string ebnf, ToEbnf(spec));
  {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->running >= shared_->options.max_running) {
      return absl::ResourceExhaustedError(
          absl::StrCat(shared_->running, " grammars are being compiled; try again"));
    }
    ++shared_->running;
  }
  auto job = std::make_shared<Job>();
  std::thread([shared = shared_, key, ebnf, job] { shared->Run(key, ebnf, *job); }).detach();
  std::unique_lock lock(job->mutex);
  if (!job->done.wait_for(lock, absl::ToChronoNanoseconds(shared_->options.max_compile_time),
                          [&] { return job->result.has_value(); })) {
    return absl::InvalidArgumentError(
        absl::StrCat("the grammar takes longer to compile than the limit of ",
                     absl::FormatDuration(shared_->options.max_compile_time)));
  }
  return *std::move(job->result);
}

size_t GrammarCompiler::cached_bytes() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->cache.bytes();
}

int64_t GrammarCompiler::cache_hits() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->hits;
}

}  // namespace facet
