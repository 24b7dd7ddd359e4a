#include "shard/sampling/stop_checker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace facet {
namespace {

absl::Status CheckTokens(const char* field, absl::Span<const int32_t> tokens, int vocab_size) {
  for (int32_t token : tokens) {
    if (token < 0 || token >= vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, " has token ", token, ", must be in [0, ", vocab_size, ")"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status StopConditions::Validate(int vocab_size) const {
  if (max_tokens < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_tokens is ", max_tokens, ", must be at least 1"));
  }
  if (min_tokens < 0 || min_tokens > max_tokens) {
    return absl::InvalidArgumentError(absl::StrCat(
        "min_tokens is ", min_tokens, ", must be in [0, max_tokens = ", max_tokens, "]"));
  }
  FACET_RETURN_IF_ERROR(CheckTokens("end_token_ids", end_token_ids, vocab_size));
  return CheckTokens("stop_token_ids", stop_token_ids, vocab_size);
}

StopChecker::StopChecker(const StopConditions& conditions, int prompt_tokens, int max_context)
    : stopping_(conditions.stop_token_ids),
      min_tokens_(conditions.min_tokens),
      max_new_tokens_(std::min(conditions.max_tokens, max_context - prompt_tokens)) {
  FACET_CHECK(max_new_tokens_ >= 1) << "max_tokens " << conditions.max_tokens << ", prompt "
                                    << prompt_tokens << ", context " << max_context;
  if (!conditions.ignore_eos) {
    stopping_.insert(stopping_.end(), conditions.end_token_ids.begin(),
                     conditions.end_token_ids.end());
  }
  std::sort(stopping_.begin(), stopping_.end());
  stopping_.erase(std::unique(stopping_.begin(), stopping_.end()), stopping_.end());
}

absl::Span<const int32_t> StopChecker::MaskedTokens(int generated) const {
  if (generated >= min_tokens_) return {};
  return stopping_;
}

FinishReason StopChecker::Check(int32_t token, int generated) const {
  if (std::binary_search(stopping_.begin(), stopping_.end(), token)) return FinishReason::kStop;
  if (generated >= max_new_tokens_) return FinishReason::kLength;
  return FinishReason::kNone;
}

}  // namespace facet
