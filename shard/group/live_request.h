#ifndef FACET_SHARD_GROUP_LIVE_REQUEST_H_
#define FACET_SHARD_GROUP_LIVE_REQUEST_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "shard/grammar/grammar_compiler.h"
#include "shard/grammar/thought_gate.h"
#include "shard/group/engine_connection.h"
#include "shard/group/engine_request.h"
#include "shard/sampling/reasoning_budget.h"
#include "shard/sampling/sampling_params.h"
#include "shard/sampling/stop_checker.h"
#include "shard/sampling/token_counts.h"

namespace facet {

// Where a completion stands in its grammar.
struct GrammarState {
  GrammarState(const std::shared_ptr<const CompiledGrammar>& grammar, ThoughtGate::Start start);

  // Fills `mask` for the next token, unless it is filled.
  absl::Status FillMask();
  absl::Status Accept(int32_t token);

  ThoughtGate gate;
  std::vector<uint32_t> mask;  // empty: not filled
  const size_t words;
};

// One of the n completions of a request.
struct LiveCompletion {
  bool open = true;  // its finish is not out yet
  bool held = true;  // the scheduler has it, or will be given it
  SamplingParams sampling;
  TokenCounts counts;  // kept only if a penalty is on
  std::optional<ReasoningBudget> reasoning;
  std::optional<GrammarState> grammar;
  int generated = 0;
};

// One request, from its admission until the scheduler holds nothing of it.
//
// Who may touch what: RequestDesk guards all fields but those of sampling (`prompt`,
// `next_prompt_token`, and of a completion `sampling`, `counts`, `reasoning`, `grammar` and
// `generated`), which belong to the step that is under way (StepSampler).
struct LiveRequest {
  // Of a valid request.
  LiveRequest(std::shared_ptr<EngineConnection> connection, uint64_t id,
              const EngineRequest& request, absl::Time arrival, int max_context);

  int n() const { return static_cast<int>(completions.size()); }
  bool open() const;
  bool held() const;

  const std::shared_ptr<EngineConnection> connection;
  const uint64_t id;
  const absl::Time arrival;
  const absl::Time deadline;
  const int prompt_tokens;
  const int64_t media_bytes;
  const StopChecker stop;
  const bool counts_tokens;  // a penalty is on
  const std::optional<int> prompt_logprobs;

  int64_t sequence_id = 0;                // of completion 0; completion i has the next but i - 1
  bool waiting = true;                    // its prompt counts as one that waits
  std::optional<absl::Time> started;      // when it was planned first
  std::vector<std::string> not_enforced;  // of its grammar, for EngineStart
  bool has_tokens = false;                // a completion has got its first
  std::optional<absl::Time> paused_since;

  std::vector<int32_t> prompt;  // kept only if prompt_logprobs are asked for
  int next_prompt_token = 1;    // the first whose log-probability is not out
  std::vector<LiveCompletion> completions;
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_LIVE_REQUEST_H_
