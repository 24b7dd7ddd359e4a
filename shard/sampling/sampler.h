#ifndef FACET_SHARD_SAMPLING_SAMPLER_H_
#define FACET_SHARD_SAMPLING_SAMPLER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "shard/sampling/ranking.h"
#include "shard/sampling/sampling_params.h"
#include "shard/sampling/token_counts.h"

namespace facet {

struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;
};

struct SampledToken {
  int32_t token = 0;
  // With SamplingParams::logprobs, or of Sampler::Score: natural logarithm of the token's
  // probability in the model's own distribution, log_softmax of the row as given: before masks,
  // biases, penalties and temperature.
  float logprob = 0;
  std::vector<TokenLogprob> top_logprobs;  // likeliest first; equal ones by id
};

// Chooses the next token of a sequence from its row of logits.
//
// Order: suppressed and masked tokens, logit bias -> repetition, frequency and presence penalty ->
// temperature -> top_k -> top_p -> min_p, each filter over what the one before left. Formulas:
//   repetition (Keskar et al. 2019, arXiv:1909.05858): x > 0 ? x / r : x * r for every token seen
//   frequency, presence: x -= frequency * times generated + presence * (generated at all)
//   top_p (Holtzman et al. 2020, arXiv:1904.09751): the fewest likeliest tokens whose share reaches
//   p min_p (arXiv:2407.01082): those with at least min_p times the probability of the likeliest
// Equal logits rank by id, the lower first. Greedy takes the first of this ranking.
//
// The result depends on the arguments alone: the random number is a function of (seed, position),
// so batch, machine and history do not matter.
//
// Thread-compatible. Holds scratch memory of a few rows, so keep one for each thread.
class Sampler {
 public:
  // `logits`: [vocab], after the soft cap. `params`: valid for this vocabulary. `counts`: of the
  // sequence so far; read only if a penalty is on. `masked`: ids that may not be chosen this time
  // (StopChecker::MaskedTokens), in [0, vocab). `position`: of the token to be chosen, counted from
  // the start of the prompt. `allowed`: a bit for each id, those of 0 may not be chosen either
  // (GrammarMatcher::FillMask); empty: no such mask.
  // Internal: a logit is NaN or +infinity, or no token is left to choose from.
  absl::StatusOr<SampledToken> Sample(absl::Span<const float> logits, const SamplingParams& params,
                                      const TokenCounts& counts, absl::Span<const int32_t> masked,
                                      int64_t position, absl::Span<const uint32_t> allowed = {});

  // The log-probability of a token that is known already, and of the `top_logprobs` likeliest ones
  // beside it. `token` is in [0, vocab). Internal: as Sample.
  absl::StatusOr<SampledToken> Score(absl::Span<const float> logits, int32_t token,
                                     int top_logprobs);

 private:
  int32_t Draw(absl::Span<const float> row, float max, const SamplingParams& params,
               double uniform);
  void TakeTopK(absl::Span<const float> row, int top_k);
  void KeepTopP(double top_p);
  void GatherAbove(float least);
  void KeepMinP(double min_p);
  size_t PickByWeight(double uniform);
  void AddLogprobs(absl::Span<const float> logits, float max, int count, SampledToken* sampled);

  // What Draw chooses from, in ascending order of ids: candidate i is the token ids_[i], or i
  // itself if ids_ is empty. A weight of 0: filtered out.
  absl::Span<const float> candidate_logits_;
  std::vector<int32_t> ids_;
  std::vector<float> weights_;

  // Scratch, kept for its memory only.
  std::vector<float> row_;
  BestSelector selector_;
  std::vector<float> best_logits_;
  std::vector<WeightedToken> nucleus_;
  std::vector<WeightedToken> nucleus_scratch_;
  std::vector<double> block_sums_;
};

}  // namespace facet

#endif  // FACET_SHARD_SAMPLING_SAMPLER_H_
