#include "shard/group/live_request.h"

#include <algorithm>
#include <utility>

#include "shard/grammar/apply_mask.h"
#include "shard/sampling/counter_rng.h"

namespace facet {
namespace {

bool HasPenalty(const SamplingParams& sampling) {
  return sampling.repetition_penalty != 1.0 || sampling.presence_penalty != 0.0 ||
         sampling.frequency_penalty != 0.0;
}

}  // namespace

GrammarState::GrammarState(const std::shared_ptr<const CompiledGrammar>& grammar,
                           ThoughtGate::Start start)
    : gate(GrammarMatcher(grammar), start), words(MaskWords(grammar->mask_ids())) {}

absl::Status GrammarState::FillMask() {
  if (!mask.empty()) return absl::OkStatus();
  mask.resize(words);
  return gate.FillMask(absl::MakeSpan(mask));
}

absl::Status GrammarState::Accept(int32_t token) {
  mask.clear();
  return gate.Accept(token);
}

LiveRequest::LiveRequest(std::shared_ptr<EngineConnection> connection, uint64_t id,
                         const EngineRequest& request, absl::Time arrival, int max_context)
    : connection(std::move(connection)),
      id(id),
      arrival(arrival),
      deadline(arrival + request.timeout),
      prompt_tokens(static_cast<int>(request.prompt.size())),
      media_bytes(MediaBytes(request.media)),
      stop(request.stopping, prompt_tokens, max_context),
      counts_tokens(HasPenalty(request.sampling)),
      prompt_logprobs(request.prompt_logprobs),
      completions(static_cast<size_t>(request.n)) {
  const TokenCounts counts = counts_tokens ? TokenCounts(request.prompt) : TokenCounts();
  for (int i = 0; i < request.n; ++i) {
    LiveCompletion& completion = completions[static_cast<size_t>(i)];
    completion.sampling = request.sampling;
    completion.sampling.seed = SeedOfCompletion(request.sampling.seed, i);
    completion.counts = counts;
    if (request.reasoning.has_value()) completion.reasoning.emplace(*request.reasoning);
  }
  if (prompt_logprobs.has_value()) prompt = request.prompt;
}

bool LiveRequest::open() const {
  return std::any_of(completions.begin(), completions.end(), [](const auto& c) { return c.open; });
}

bool LiveRequest::held() const {
  return std::any_of(completions.begin(), completions.end(), [](const auto& c) { return c.held; });
}

}  // namespace facet
