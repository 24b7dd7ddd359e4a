#include "shard/grammar/thought_gate.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/grammar/apply_mask.h"
#include "shard/grammar/compiled_grammar.h"

namespace facet {

ThoughtGate::ThoughtGate(GrammarMatcher matcher, Start start) : matcher_(std::move(matcher)) {
  const MaskVocabulary& vocabulary = *matcher_.grammar().parts_->vocabulary;
  const bool can_think = vocabulary.thought_begin >= 0 && vocabulary.thought_end >= 0;
  states_.push_back(!can_think || start == Start::kAnswer ? State::kAnswer
                    : start == Start::kMayThink           ? State::kOpen
                                                          : State::kThought);
}

ThoughtGate::ThoughtGate(GrammarMatcher matcher, std::vector<State> states)
    : matcher_(std::move(matcher)), states_(std::move(states)) {}

ThoughtGate ThoughtGate::Clone() const { return ThoughtGate(matcher_.Clone(), states_); }

absl::Status ThoughtGate::FillMask(absl::Span<uint32_t> mask) {
  const MaskVocabulary& vocabulary = *matcher_.grammar().parts_->vocabulary;
  if (state() != State::kThought) {
    FACET_RETURN_IF_ERROR(matcher_.FillMask(mask));
    const int32_t id = vocabulary.thought_begin;
    if (state() == State::kOpen) mask[id / 32] |= uint32_t{1} << (id % 32);
    return absl::OkStatus();
  }
  if (mask.size() < vocabulary.thought_mask.size()) {
    return absl::InvalidArgumentError(absl::StrCat("a mask of ", mask.size(), " words; needed are ",
                                                   vocabulary.thought_mask.size()));
  }
  std::copy(vocabulary.thought_mask.begin(), vocabulary.thought_mask.end(), mask.begin());
  return absl::OkStatus();
}

absl::Status ThoughtGate::Accept(int32_t id) {
  const MaskVocabulary& vocabulary = *matcher_.grammar().parts_->vocabulary;
  if (state() == State::kThought) {
    const bool allowed =
        id >= 0 && id < vocabulary.ids && (vocabulary.thought_mask[id / 32] >> (id % 32) & 1) != 0;
    if (!allowed) return absl::InvalidArgumentError(absl::StrCat("id ", id, " inside a thought"));
    states_.push_back(id == vocabulary.thought_end ? State::kAnswer : State::kThought);
    return absl::OkStatus();
  }
  if (state() == State::kOpen && id == vocabulary.thought_begin) {
    states_.push_back(State::kThought);
    return absl::OkStatus();
  }
  FACET_RETURN_IF_ERROR(matcher_.Accept(id));
  states_.push_back(State::kAnswer);
  return absl::OkStatus();
}

absl::Status ThoughtGate::Rollback(int count) {
  if (count < 0 || count > accepted()) {
    return absl::InvalidArgumentError(
        absl::StrCat("rolling back ", count, " of ", accepted(), " ids"));
  }
  const size_t left = states_.size() - count;
  // The tokens that were the matcher's: those that led from outside a thought to the answer.
  int to_matcher = 0;
  for (size_t i = left; i < states_.size(); ++i) {
    to_matcher += states_[i - 1] != State::kThought && states_[i] == State::kAnswer;
  }
  FACET_RETURN_IF_ERROR(matcher_.Rollback(to_matcher));
  states_.resize(left);
  return absl::OkStatus();
}

}  // namespace facet
