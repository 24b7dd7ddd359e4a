#include "shard/grammar/grammar_compiler.h"

#include <list>
#include <mutex>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/grammar/automaton/network.h"
#include "shard/grammar/call_grammar.h"
#include "shard/grammar/compiled_grammar.h"
#include "shard/grammar/pattern_grammar.h"
#include "shard/grammar/schema_grammar.h"

namespace facet {
namespace {

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
    absl::StrAppend(&key, tool.strict);
  }
  return key;
}

// Compiled grammars by key, the least recently used dropped when they come to too many bytes. They
// grow while they are used, so their sizes are asked for each time. Not thread-safe.
class GrammarCache {
 public:
  explicit GrammarCache(size_t max_bytes) : max_bytes_(max_bytes) {}

  std::shared_ptr<const CompiledGrammar> Find(const std::string& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    auto grammar = entries_.front().grammar;
    Shrink();
    return grammar;
  }

  void Insert(const std::string& key, std::shared_ptr<const CompiledGrammar> grammar) {
    if (index_.contains(key)) return;
    entries_.push_front({key, std::move(grammar)});
    index_[key] = entries_.begin();
    Shrink();
  }

  size_t bytes() const {
    size_t bytes = 0;
    for (const Entry& entry : entries_) bytes += BytesOf(entry);
    return bytes;
  }

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const CompiledGrammar> grammar;
  };
  static size_t BytesOf(const Entry& entry) {
    return entry.grammar->bytes() + 2 * entry.key.size() + kEntryBytes;
  }
  void Shrink() {
    for (size_t bytes = this->bytes(); bytes > max_bytes_;) {
      bytes -= BytesOf(entries_.back());
      index_.erase(entries_.back().key);
      entries_.pop_back();
    }
  }

  static constexpr size_t kEntryBytes = 4096;  // an empty cache of states, and the like
  const size_t max_bytes_;
  std::list<Entry> entries_;  // most recently used first
  absl::flat_hash_map<std::string, std::list<Entry>::iterator> index_;
};

}  // namespace

struct GrammarCompiler::Shared {
  Shared(const GrammarVocabulary& given, const GrammarCompilerOptions& limits)
      : options(limits),
        call(given.call),
        vocabulary(std::make_shared<const MaskVocabulary>(given)),
        cache(limits.cache_bytes) {}

  const GrammarCompilerOptions options;
  const CallTokens call;
  const std::shared_ptr<const MaskVocabulary> vocabulary;

  mutable std::mutex mutex;
  GrammarCache cache;  // guarded by mutex
  int64_t hits = 0;    // guarded by mutex
};

GrammarCompiler::GrammarCompiler(std::unique_ptr<Shared> shared) : shared_(std::move(shared)) {}
GrammarCompiler::~GrammarCompiler() = default;

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
  return absl::WrapUnique(new GrammarCompiler(std::make_unique<Shared>(vocabulary, options)));
}

absl::StatusOr<std::string> GrammarCompiler::ToEbnf(const GrammarSpec& spec,
                                                    std::vector<std::string>* not_enforced) const {
  std::vector<std::string> unused;
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
      return spec.text;
    case GrammarSpec::Kind::kToolCalls:
      return ToolCallGrammar(spec, shared_->call, not_enforced != nullptr ? not_enforced : &unused);
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

absl::StatusOr<std::shared_ptr<const CompiledGrammar>> GrammarCompiler::Compile(
    const GrammarSpec& spec) {
  if (auto found = Find(spec)) return found;
  std::vector<std::string> not_enforced;
  FACET_ASSIGN_OR_RETURN(const std::string ebnf, ToEbnf(spec, &not_enforced));
  FACET_ASSIGN_OR_RETURN(
      GrammarNetwork network,
      GrammarNetwork::FromEbnf(ebnf,
                               spec.kind == GrammarSpec::Kind::kEbnf ? kCallersEbnf : kOwnEbnf));
  auto parts = std::make_unique<CompiledGrammar::Parts>(shared_->vocabulary, std::move(network),
                                                        std::move(not_enforced));
  if (const size_t bytes = parts->bytes(); bytes > shared_->options.max_grammar_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("grammar: compiled it has ", bytes,
                                                   " bytes; the limit is ",
                                                   shared_->options.max_grammar_bytes));
  }
  std::shared_ptr<const CompiledGrammar> grammar(new CompiledGrammar(std::move(parts)));
  const std::lock_guard lock(shared_->mutex);
  shared_->cache.Insert(KeyOf(spec), grammar);
  return grammar;
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
