#include "shard/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "shard/grammar/apply_mask.h"
#include "shard/sampling/counter_rng.h"
#include "shard/sampling/logit_adjustments.h"
#include "shard/sampling/row_math.h"

namespace facet {
namespace {

constexpr double kGreedyBelow = 1e-5;  // two different logits near 30 are 2e-6 apart
constexpr size_t kWeightBlock = 1024;  // summed at once, so that the walk to a token is short

absl::Status UnusableLogit(absl::Span<const float> logits) {
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] < std::numeric_limits<float>::infinity())) {
      return absl::InternalError(absl::StrCat("the logit of token ", i, " is ", logits[i]));
    }
  }
  return absl::InternalError("a logit is not a number");
}

}  // namespace

absl::StatusOr<SampledToken> Sampler::Sample(absl::Span<const float> logits,
                                             const SamplingParams& params,
                                             const TokenCounts& counts,
                                             absl::Span<const int32_t> masked, int64_t position,
                                             absl::Span<const uint32_t> allowed) {
  const RowMax model_max = MaxOfRow(logits);
  if (!model_max.valid) return UnusableLogit(logits);
  absl::Span<const float> row = logits;
  float max = model_max.max;
  if (AdjustsLogits(params, masked) || !allowed.empty()) {
    row_.assign(logits.begin(), logits.end());
    AdjustLogits(params, counts, masked, absl::MakeSpan(row_));
    if (!allowed.empty()) ApplyMask(allowed, absl::MakeSpan(row_));
    row = row_;
    max = MaxOfRow(row).max;
  }
  if (max == -std::numeric_limits<float>::infinity()) {
    return absl::InternalError(
        absl::StrCat("none of ", logits.size(), " tokens may be chosen: all are masked"));
  }

  SampledToken sampled;
  if (params.temperature < kGreedyBelow) {
    sampled.token = FirstEqual(row, max);
  } else {
    sampled.token = Draw(row, max, params, UniformAt(params.seed, position));
  }
  if (params.logprobs.has_value()) AddLogprobs(logits, model_max.max, *params.logprobs, &sampled);
  return sampled;
}

absl::StatusOr<SampledToken> Sampler::Score(absl::Span<const float> logits, int32_t token,
                                            int top_logprobs) {
  const RowMax model_max = MaxOfRow(logits);
  if (!model_max.valid) return UnusableLogit(logits);
  if (model_max.max == -std::numeric_limits<float>::infinity()) {
    return absl::InternalError("every logit of the row is -inf");
  }
  SampledToken scored;
  scored.token = token;
  AddLogprobs(logits, model_max.max, top_logprobs, &scored);
  return scored;
}

int32_t Sampler::Draw(absl::Span<const float> row, float max, const SamplingParams& params,
                      double uniform) {
  TakeTopK(row, params.top_k);
  weights_.resize(candidate_logits_.size());
  ExpWeights(candidate_logits_, max, static_cast<float>(1 / params.temperature), weights_.data());
  if (params.top_p < 1) KeepTopP(params.top_p);
  if (params.min_p > 0) KeepMinP(params.min_p);
  const size_t place = PickByWeight(uniform);
  return ids_.empty() ? static_cast<int32_t>(place) : ids_[place];
}

void Sampler::TakeTopK(absl::Span<const float> row, int top_k) {
  ids_.clear();
  candidate_logits_ = row;
  if (top_k == 0 || static_cast<size_t>(top_k) >= row.size()) return;
  best_logits_.clear();
  for (const RankedToken& token : selector_.Select(row, top_k)) {
    ids_.push_back(token.id);
    best_logits_.push_back(token.logit);
  }
  candidate_logits_ = best_logits_;
}

void Sampler::KeepTopP(double top_p) {
  const double total = SumOfRow(weights_);
  // Of at most this weight each, tokens have less than 1 - top_p together, so the nucleus has none
  // of them. Of a peaked distribution, that leaves few to look at.
  const double mean = total / static_cast<double>(weights_.size());
  GatherAbove(static_cast<float>(0.999 * (1 - top_p) * mean));
  nucleus_scratch_ = nucleus_;
  const RankedToken last = LastOfMass(absl::MakeSpan(nucleus_scratch_), top_p * total);
  const bool whole_row = ids_.empty();
  if (whole_row) ids_.resize(nucleus_.size());
  size_t kept = 0;
  for (const WeightedToken& candidate : nucleus_) {
    if (last < candidate.token) continue;
    const int32_t place = candidate.token.id;  // not before `kept`
    ids_[kept] = whole_row ? place : ids_[place];
    weights_[kept++] = candidate.weight;
  }
  ids_.resize(kept);
  weights_.resize(kept);
}

// Into nucleus_: the candidates of more than this weight, each with its place as its id.
void Sampler::GatherAbove(float least) {
  const absl::Span<const float> weights = weights_;
  nucleus_.clear();
  for (size_t start = 0; (start = NextBlockAbove(weights, start, least)) < weights.size();
       start += kRowBlock) {
    const size_t end = std::min(start + kRowBlock, weights.size());
    for (size_t i = start; i < end; ++i) {
      if (weights[i] <= least) continue;
      nucleus_.push_back({{candidate_logits_[i], static_cast<int32_t>(i)}, weights[i]});
    }
  }
}

void Sampler::KeepMinP(double min_p) {
  const float least = static_cast<float>(min_p);  // the likeliest has 1
  for (float& weight : weights_) weight = weight < least ? 0 : weight;
}

// The first candidate whose weight and those before it exceed `uniform` of the sum of all.
size_t Sampler::PickByWeight(double uniform) {
  const absl::Span<const float> weights = weights_;
  block_sums_.clear();
  double total = 0;
  for (size_t start = 0; start < weights.size(); start += kWeightBlock) {
    block_sums_.push_back(SumOfRow(weights.subspan(start, kWeightBlock)));
    total += block_sums_.back();
  }
  double left = uniform * total;
  size_t block = 0;
  for (size_t b = 0; b < block_sums_.size(); ++b) {
    if (block_sums_[b] == 0) continue;
    block = b;  // the last that has any, should rounding carry `left` beyond the end
    if (left < block_sums_[b]) break;
    left -= block_sums_[b];
  }
  const size_t start = block * kWeightBlock;
  const size_t end = std::min(start + kWeightBlock, weights.size());
  size_t place = start;
  for (size_t i = start; i < end; ++i) {
    if (weights[i] == 0) continue;
    place = i;  // likewise
    left -= weights[i];
    if (left < 0) break;
  }
  return place;
}

// Of the model's own distribution: `logits` as given, `max` their maximum.
void Sampler::AddLogprobs(absl::Span<const float> logits, float max, int count,
                          SampledToken* sampled) {
  weights_.resize(logits.size());
  ExpWeights(logits, max, 1.0f, weights_.data());
  const double log_sum = max + std::log(SumOfRow(weights_));
  sampled->logprob = static_cast<float>(logits[sampled->token] - log_sum);
  if (count == 0) return;
  const absl::Span<const RankedToken> best = selector_.Select(logits, count);
  std::vector<RankedToken> ranked(best.begin(), best.end());
  std::sort(ranked.begin(), ranked.end());
  for (const RankedToken& token : ranked) {
    sampled->top_logprobs.push_back({token.id, static_cast<float>(token.logit - log_sum)});
  }
}

}  // namespace facet
