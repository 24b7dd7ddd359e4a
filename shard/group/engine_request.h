#ifndef FACET_SHARD_GROUP_ENGINE_REQUEST_H_
#define FACET_SHARD_GROUP_ENGINE_REQUEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "shard/grammar/grammar_spec.h"
#include "shard/grammar/thought_gate.h"
#include "shard/group/request_media.h"
#include "shard/sampling/reasoning_budget.h"
#include "shard/sampling/sampling_params.h"
#include "shard/sampling/stop_checker.h"

namespace facet {

// What a group can take.
struct EngineLimits {
  int vocab_size = 0;
  int max_context = 0;      // tokens of a prompt and of one completion together
  int max_completions = 1;  // of one request
  MediaLimits media;
};

// What an answer must look like, and whether it begins with a thought.
struct GrammarRequest {
  GrammarSpec spec;
  ThoughtGate::Start start = ThoughtGate::Start::kAnswer;
};

// All resolved by the router: no defaults of a checkpoint are applied below it.
struct EngineRequest {
  static constexpr int kMaxCompletions = 16;
  static constexpr int kMaxCacheSaltBytes = 256;

  std::string request_id;  // for messages
  std::vector<int32_t> prompt;
  std::vector<RequestMedia> media;  // ordered by position
  // Completions of the prompt, which is computed once. Number i draws with
  // SeedOfCompletion(sampling.seed, i) and else as if it were alone.
  int n = 1;
  SamplingParams sampling;
  StopConditions stopping;
  std::optional<ReasoningLimit> reasoning;  // of each completion
  std::optional<GrammarRequest> grammar;    // likewise
  // As SamplingParams::logprobs, for each token of the prompt but the first.
  std::optional<int> prompt_logprobs;
  // Cached KV is shared only with requests of the same salt.
  std::string cache_salt;
  int priority = 0;
  // From Submit on, in the queue and while running; then it ends with DeadlineExceeded.
  absl::Duration timeout = absl::InfiniteDuration();

  // InvalidArgument that names field, value and limit.
  absl::Status Validate(const EngineLimits& limits) const;
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_ENGINE_REQUEST_H_
