#ifndef FACET_SHARD_SAMPLING_SAMPLING_PARAMS_H_
#define FACET_SHARD_SAMPLING_SAMPLING_PARAMS_H_

// How the next token of one sequence is chosen. All resolved: no defaults of a checkpoint are
// applied below the router.

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace facet {

struct SamplingParams {
  static constexpr int kMaxLogitBiases = 1024;
  static constexpr int kMaxTopLogprobs = 20;

  double temperature = 1.0;         // >= 0; 0, and less than 1e-5: greedy
  int top_k = 0;                    // >= 0; 0, and the vocabulary's size or more: off
  double top_p = 1.0;               // (0, 1]
  double min_p = 0.0;               // [0, 1]
  double repetition_penalty = 1.0;  // (0, 10]; over prompt and generated tokens
  double presence_penalty = 0.0;    // [-2, 2]; over generated tokens
  double frequency_penalty = 0.0;   // [-2, 2]; over generated tokens
  uint64_t seed = 0;
  std::vector<std::pair<int32_t, float>> logit_bias;  // distinct ids -> [-100, 100]
  std::vector<int32_t> suppress_tokens;               // never chosen
  // Unset: none. 0: of the chosen token. k: the k likeliest tokens as well.
  std::optional<int> logprobs;

  // InvalidArgument that names field, value and limit. Token ids must be in [0, vocab_size).
  absl::Status Validate(int vocab_size) const;
};

}  // namespace facet

#endif  // FACET_SHARD_SAMPLING_SAMPLING_PARAMS_H_
