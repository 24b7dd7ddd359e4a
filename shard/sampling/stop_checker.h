#ifndef FACET_SHARD_SAMPLING_STOP_CHECKER_H_
#define FACET_SHARD_SAMPLING_STOP_CHECKER_H_

// When a sequence ends by its tokens. (Stop strings are the router's: only it knows text.)

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace facet {

enum class FinishReason {
  kNone,       // goes on
  kStop,       // an end token of the model, or one of the caller's stop tokens
  kLength,     // max_tokens, or the context is full
  kCancelled,  // by the caller, or its deadline; never by StopChecker
  kError,      // never by StopChecker
};

struct StopConditions {
  int max_tokens = 0;       // >= 1
  int min_tokens = 0;       // [0, max_tokens]; until then no token that would stop may be chosen
  bool ignore_eos = false;  // the model's end tokens do not stop, and may be chosen
  std::vector<int32_t> end_token_ids;   // the model's own
  std::vector<int32_t> stop_token_ids;  // the caller's; ignore_eos does not concern them

  // InvalidArgument that names field, value and limit. Ids must be in [0, vocab_size).
  absl::Status Validate(int vocab_size) const;
};

// Thread-compatible; const calls may run at the same time.
class StopChecker {
 public:
  // Generates at most min(max_tokens, max_context - prompt_tokens) tokens, as the Scheduler does.
  // Conditions must be valid, and prompt_tokens < max_context.
  StopChecker(const StopConditions& conditions, int prompt_tokens, int max_context);

  // Tokens that the sampler must not choose as number `generated` (0: the first): those that would
  // stop the sequence before min_tokens. Empty from min_tokens on. Sorted. Valid while this lives.
  absl::Span<const int32_t> MaskedTokens(int generated) const;

  // Whether the sequence ends with `token`, the last of `generated` tokens (1: the first).
  // A stop token on the last permitted place is kStop. An id that stops belongs to the output's
  // count but not to its text.
  FinishReason Check(int32_t token, int generated) const;

  int max_new_tokens() const { return max_new_tokens_; }

 private:
  std::vector<int32_t> stopping_;  // sorted
  int min_tokens_;
  int max_new_tokens_;
};

}  // namespace facet

#endif  // FACET_SHARD_SAMPLING_STOP_CHECKER_H_
