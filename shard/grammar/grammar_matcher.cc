#include "shard/grammar/grammar_matcher.h"

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "shard/grammar/apply_mask.h"
#include "shard/grammar/compiled_grammar.h"
#include "xgrammar/matcher.h"

namespace facet {
namespace {

void Clear(absl::Span<uint32_t> mask, int32_t id) { mask[id / 32] &= ~(uint32_t{1} << (id % 32)); }

// After a call the answer ends with <|tool_response>, and only there.
bool IsWrongEnd(const MaskVocabulary& vocabulary, const std::vector<int32_t>& accepted,
                int32_t id) {
  const auto& ends = vocabulary.end_ids;
  if (vocabulary.call_wait < 0 || std::find(ends.begin(), ends.end(), id) == ends.end()) {
    return false;
  }
  const bool after_call = !accepted.empty() && accepted.back() == vocabulary.call_end;
  return (id == vocabulary.call_wait) != after_call;
}

}  // namespace

struct GrammarMatcher::State {
  std::shared_ptr<const CompiledGrammar> grammar;
  xgrammar::GrammarMatcher matcher;
  std::vector<int32_t> accepted;
};

GrammarMatcher::GrammarMatcher(std::shared_ptr<const CompiledGrammar> grammar)
    : state_(std::make_unique<State>(
          State{grammar, xgrammar::GrammarMatcher(grammar->parts_->grammar), {}})) {}
GrammarMatcher::GrammarMatcher(std::unique_ptr<State> state) : state_(std::move(state)) {}
GrammarMatcher::~GrammarMatcher() = default;
GrammarMatcher::GrammarMatcher(GrammarMatcher&&) noexcept = default;
GrammarMatcher& GrammarMatcher::operator=(GrammarMatcher&&) noexcept = default;

GrammarMatcher GrammarMatcher::Clone() const {
  return GrammarMatcher(
      std::make_unique<State>(State{state_->grammar, state_->matcher.Fork(), state_->accepted}));
}

absl::Status GrammarMatcher::FillMask(absl::Span<uint32_t> mask) {
  const MaskVocabulary& vocabulary = *state_->grammar->parts_->vocabulary;
  const size_t words = MaskWords(vocabulary.ids);
  if (mask.size() < words) {
    return absl::InvalidArgumentError(
        absl::StrCat("a mask of ", mask.size(), " words; needed are ", words));
  }
  if (IsTerminated()) {
    std::fill(mask.begin(), mask.end(), 0);
    return absl::OkStatus();
  }
  int64_t shape[] = {static_cast<int64_t>(words)};
  DLTensor tensor = {};
  tensor.data = mask.data();
  tensor.device = {kDLCPU, 0};
  tensor.ndim = 1;
  tensor.dtype = xgrammar::GetBitmaskDLType();
  tensor.shape = shape;
  try {
    // A mask that would allow everything is left as it is, so it starts as that.
    std::fill(mask.begin(), mask.end(), ~uint32_t{0});
    state_->matcher.FillNextTokenBitmask(&tensor);
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("mask: ", LibraryMessage(error)));
  }
  for (const int32_t id : vocabulary.end_ids) {
    if (IsWrongEnd(vocabulary, state_->accepted, id)) Clear(mask, id);
  }
  return absl::OkStatus();
}

absl::Status GrammarMatcher::Accept(int32_t id) {
  // The library writes a warning for an id that can never stand here; we ask before.
  const MaskVocabulary& vocabulary = *state_->grammar->parts_->vocabulary;
  const bool possible = id >= 0 && id < vocabulary.ids && !IsTerminated() &&
                        (vocabulary.answer_mask[id / 32] >> (id % 32) & 1) != 0;
  bool taken = false;
  if (possible && !IsWrongEnd(vocabulary, state_->accepted, id)) {
    try {
      taken = state_->matcher.AcceptToken(id);
    } catch (const std::exception& error) {
      return absl::InternalError(absl::StrCat("token ", id, ": ", LibraryMessage(error)));
    }
  }
  if (!taken) return absl::InvalidArgumentError(absl::StrCat("the grammar does not allow id ", id));
  state_->accepted.push_back(id);
  return absl::OkStatus();
}

absl::Status GrammarMatcher::Rollback(int count) {
  if (count < 0 || count > accepted()) {
    return absl::InvalidArgumentError(
        absl::StrCat("rolling back ", count, " of ", accepted(), " ids"));
  }
  if (count == 0) return absl::OkStatus();
  try {
    state_->matcher.Rollback(count);
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("rollback: ", LibraryMessage(error)));
  }
  state_->accepted.resize(state_->accepted.size() - count);
  return absl::OkStatus();
}

bool GrammarMatcher::IsTerminated() const { return state_->matcher.IsTerminated(); }
bool GrammarMatcher::IsComplete() const { return state_->matcher.IsCompleted(); }
int GrammarMatcher::accepted() const { return static_cast<int>(state_->accepted.size()); }
const CompiledGrammar& GrammarMatcher::grammar() const { return *state_->grammar; }

}  // namespace facet
