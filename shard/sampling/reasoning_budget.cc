#include "shard/sampling/reasoning_budget.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace facet {
namespace {

absl::Status CheckToken(const char* field, int32_t token, int vocab_size) {
  if (token >= 0 && token < vocab_size) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", token, ", must be in [0, ", vocab_size, ")"));
}

}  // namespace

absl::Status ReasoningLimit::Validate(int vocab_size) const {
  if (max_tokens < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("reasoning_budget.max_tokens is ", max_tokens, ", must be at least 0"));
  }
  FACET_RETURN_IF_ERROR(CheckToken("reasoning_budget.open_token", open_token, vocab_size));
  FACET_RETURN_IF_ERROR(CheckToken("reasoning_budget.close_token", close_token, vocab_size));
  if (open_token != close_token) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("reasoning_budget.open_token is ", open_token, ", must not be close_token"));
}

}  // namespace facet
