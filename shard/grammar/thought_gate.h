#ifndef FACET_SHARD_GRAMMAR_THOUGHT_GATE_H_
#define FACET_SHARD_GRAMMAR_THOUGHT_GATE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "shard/grammar/grammar_matcher.h"

namespace facet {

// A grammar for what follows the thought: <|channel> .. <channel|> is free text, the answer after
// it is the matcher's. The answer may begin with one thought; the end tokens are closed off inside
// it. Same rules of use as GrammarMatcher.
class ThoughtGate {
 public:
  enum class Start {
    kAnswer,     // no thought: the grammar applies from the first token
    kMayThink,   // the first token is the answer's or opens a thought
    kInThought,  // the prompt ends inside an open thought
  };

  // A vocabulary without the tokens of thoughts makes every start kAnswer.
  ThoughtGate(GrammarMatcher matcher, Start start);

  ThoughtGate Clone() const;
  // As GrammarMatcher's.
  absl::Status FillMask(absl::Span<uint32_t> mask);
  absl::Status Accept(int32_t id);
  absl::Status Rollback(int count);
  bool IsTerminated() const { return matcher_.IsTerminated(); }
  bool IsComplete() const { return state() != State::kThought && matcher_.IsComplete(); }
  int accepted() const { return static_cast<int>(states_.size()) - 1; }
  // Whether the next token belongs to a thought.
  bool InThought() const { return state() == State::kThought; }

 private:
  enum class State : uint8_t { kOpen, kThought, kAnswer };
  ThoughtGate(GrammarMatcher matcher, std::vector<State> states);
  State state() const { return states_.back(); }

  GrammarMatcher matcher_;
  std::vector<State> states_;  // the first, and the one after each accepted token
};

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_THOUGHT_GATE_H_
