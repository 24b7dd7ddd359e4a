#include "shard/group/engine_request.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/scheduler/scheduler_types.h"

namespace facet {
namespace {

absl::Status CheckField(const char* field, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", value, ", must be in [", low, ", ", high, "]"));
}

absl::Status CheckPrompt(const std::vector<int32_t>& prompt, const EngineLimits& limits) {
  if (prompt.empty()) return absl::InvalidArgumentError("the prompt has no tokens");
  if (prompt.size() >= static_cast<size_t>(limits.max_context)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the prompt has ", prompt.size(), " tokens; the context length of ",
                     limits.max_context, " allows at most ", limits.max_context - 1));
  }
  for (size_t i = 0; i < prompt.size(); ++i) {
    if (prompt[i] < 0 || prompt[i] >= limits.vocab_size) {
      return absl::InvalidArgumentError(absl::StrCat("prompt token ", i, " is ", prompt[i],
                                                     "; allowed: 0 to ", limits.vocab_size - 1));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status EngineRequest::Validate(const EngineLimits& limits) const {
  FACET_RETURN_IF_ERROR(sampling.Validate(limits.vocab_size));
  FACET_RETURN_IF_ERROR(stopping.Validate(limits.vocab_size));
  FACET_RETURN_IF_ERROR(CheckField("n", n, 1, std::min(kMaxCompletions, limits.max_completions)));
  if (reasoning.has_value()) FACET_RETURN_IF_ERROR(reasoning->Validate(limits.vocab_size));
  if (grammar.has_value()) {
    // Both would keep an answer from ending where its grammar does.
    FACET_RETURN_IF_ERROR(CheckField("min_tokens beside a grammar", stopping.min_tokens, 0, 0));
    FACET_RETURN_IF_ERROR(CheckField("ignore_eos beside a grammar", stopping.ignore_eos, 0, 0));
  }
  if (prompt_logprobs.has_value()) {
    FACET_RETURN_IF_ERROR(
        CheckField("prompt_logprobs", *prompt_logprobs, 0, SamplingParams::kMaxTopLogprobs));
  }
  if (cache_salt.size() > kMaxCacheSaltBytes) {
    return absl::InvalidArgumentError(absl::StrCat("cache_salt has ", cache_salt.size(),
                                                   " bytes, must be at most ", kMaxCacheSaltBytes));
  }
  FACET_RETURN_IF_ERROR(CheckField("priority", priority, -SequenceRequest::kMaxPriority,
                                   SequenceRequest::kMaxPriority));
  FACET_RETURN_IF_ERROR(CheckPrompt(prompt, limits));
  if (prompt_logprobs.has_value() && limits.media.has_blocks && !media.empty()) {
    return absl::InvalidArgumentError(
        "prompt_logprobs: this model does not give them for a prompt with media");
  }
  return ValidateMedia(media, prompt, limits.media);
}

}  // namespace facet
