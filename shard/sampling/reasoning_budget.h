#ifndef FACET_SHARD_SAMPLING_REASONING_BUDGET_H_
#define FACET_SHARD_SAMPLING_REASONING_BUDGET_H_

// How much a sequence may think before its answer.

#include <cstdint>
#include <optional>

#include "absl/status/status.h"

namespace facet {

struct ReasoningLimit {
  int max_tokens = 0;              // of thought, between the two tokens below; >= 0
  bool starts_in_thought = false;  // the prompt has opened one
  int32_t open_token = 0;
  int32_t close_token = 0;

  // InvalidArgument that names field, value and limit. Ids must be in [0, vocab_size).
  absl::Status Validate(int vocab_size) const;
};

// Counts the thought of one sequence. When the limit is reached inside a thought, the next token
// has to be the closing one; from then on no other thought may be opened.
//
// A value: copy it for each completion. Thread-compatible.
class ReasoningBudget {
 public:
  explicit ReasoningBudget(const ReasoningLimit& limit)
      : limit_(limit), in_thought_(limit.starts_in_thought) {}

  // The only token that may come next; unset: any but MaskedToken().
  std::optional<int32_t> ForcedToken() const {
    return in_thought_ && spent() ? std::optional(limit_.close_token) : std::nullopt;
  }
  // The token that may not come next, if any.
  std::optional<int32_t> MaskedToken() const {
    return !in_thought_ && spent() ? std::optional(limit_.open_token) : std::nullopt;
  }

  // `token` was chosen.
  void Add(int32_t token) {
    if (!in_thought_) {
      in_thought_ = token == limit_.open_token;
    } else if (token == limit_.close_token) {
      in_thought_ = false;
    } else {
      ++thought_tokens_;
    }
  }

 private:
  bool spent() const { return thought_tokens_ >= limit_.max_tokens; }

  ReasoningLimit limit_;
  bool in_thought_;
  int thought_tokens_ = 0;
};

}  // namespace facet

#endif  // FACET_SHARD_SAMPLING_REASONING_BUDGET_H_
