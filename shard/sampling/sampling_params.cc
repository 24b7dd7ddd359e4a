#include "shard/sampling/sampling_params.h"

#include <cmath>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace facet {
namespace {

absl::Status Wrong(const char* field, double value, const char* limit) {
  return absl::InvalidArgumentError(absl::StrCat(field, " is ", value, ", must be ", limit));
}

// NaN fails every comparison, so each condition says what is right.
absl::Status CheckClosedRange(const char* field, double value, double low, double high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", value, ", must be in [", low, ", ", high, "]"));
}

absl::Status CheckToken(const char* field, int32_t token, int vocab_size) {
  if (token >= 0 && token < vocab_size) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " has token ", token, ", must be in [0, ", vocab_size, ")"));
}

absl::Status CheckLogitBias(const std::vector<std::pair<int32_t, float>>& biases, int vocab_size) {
  if (biases.size() > SamplingParams::kMaxLogitBiases) {
    return absl::InvalidArgumentError(absl::StrCat("logit_bias has ", biases.size(),
                                                   " entries, must be at most ",
                                                   SamplingParams::kMaxLogitBiases));
  }
  absl::flat_hash_set<int32_t> seen;
  for (const auto& [token, bias] : biases) {
    FACET_RETURN_IF_ERROR(CheckToken("logit_bias", token, vocab_size));
    FACET_RETURN_IF_ERROR(CheckClosedRange("logit_bias", bias, -100, 100));
    if (!seen.insert(token).second) {
      return absl::InvalidArgumentError(absl::StrCat("logit_bias has token ", token, " twice"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SamplingParams::Validate(int vocab_size) const {
  if (!(temperature >= 0 && std::isfinite(temperature))) {
    return Wrong("temperature", temperature, "a finite number of at least 0");
  }
  if (top_k < 0) return Wrong("top_k", top_k, "at least 0");
  if (!(top_p > 0 && top_p <= 1)) return Wrong("top_p", top_p, "in (0, 1]");
  FACET_RETURN_IF_ERROR(CheckClosedRange("min_p", min_p, 0, 1));
  if (!(repetition_penalty > 0 && repetition_penalty <= 10)) {
    return Wrong("repetition_penalty", repetition_penalty, "in (0, 10]");
  }
  FACET_RETURN_IF_ERROR(CheckClosedRange("presence_penalty", presence_penalty, -2, 2));
  FACET_RETURN_IF_ERROR(CheckClosedRange("frequency_penalty", frequency_penalty, -2, 2));
  FACET_RETURN_IF_ERROR(CheckLogitBias(logit_bias, vocab_size));
  for (int32_t token : suppress_tokens) {
    FACET_RETURN_IF_ERROR(CheckToken("suppress_tokens", token, vocab_size));
  }
  if (logprobs.has_value()) {
    FACET_RETURN_IF_ERROR(CheckClosedRange("logprobs", *logprobs, 0, kMaxTopLogprobs));
  }
  return absl::OkStatus();
}

}  // namespace facet
