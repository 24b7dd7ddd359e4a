#include "shard/sampling/logit_adjustments.h"

#include <algorithm>
#include <limits>

namespace facet {
namespace {

bool HasPenalty(const SamplingParams& params) {
  return params.repetition_penalty != 1 || params.presence_penalty != 0 ||
         params.frequency_penalty != 0;
}

bool IsIn(absl::Span<const float> row, int32_t token) {
  return token >= 0 && static_cast<size_t>(token) < row.size();
}

void Mask(absl::Span<const int32_t> tokens, absl::Span<float> row) {
  for (int32_t token : tokens) {
    if (IsIn(row, token)) row[token] = -std::numeric_limits<float>::infinity();
  }
}

float Penalised(double logit, const SamplingParams& params, int generated) {
  if (logit > 0) {
    logit /= params.repetition_penalty;
  } else {
    logit *= params.repetition_penalty;
  }
  if (generated > 0) {
    logit -= params.frequency_penalty * generated + params.presence_penalty;
  }
  // A tiny repetition penalty must not turn a large logit into infinity.
  constexpr double kLargest = std::numeric_limits<float>::max();
  return static_cast<float>(std::min(logit, kLargest));
}

}  // namespace

bool AdjustsLogits(const SamplingParams& params, absl::Span<const int32_t> masked) {
  return !params.logit_bias.empty() || !params.suppress_tokens.empty() || !masked.empty() ||
         HasPenalty(params);
}

void AdjustLogits(const SamplingParams& params, const TokenCounts& counts,
                  absl::Span<const int32_t> masked, absl::Span<float> row) {
  for (const auto& [token, bias] : params.logit_bias) {
    if (IsIn(row, token)) row[token] += bias;
  }
  Mask(params.suppress_tokens, row);
  Mask(masked, row);
  if (!HasPenalty(params)) return;
  for (const TokenCounts::Entry& entry : counts.entries()) {
    if (!IsIn(row, entry.token)) continue;
    row[entry.token] = Penalised(row[entry.token], params, entry.generated);
  }
}

}  // namespace facet
