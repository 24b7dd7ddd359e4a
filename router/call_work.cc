#include "router/call_work.h"

namespace facet {

internal::SubmitRequest MakeSubmit(const GenerationSpec& spec, const std::vector<int32_t>& prompt) {
  internal::SubmitRequest submit;
  submit.mutable_prompt()->Add(prompt.begin(), prompt.end());
  *submit.mutable_sampling() = spec.sampling;
  *submit.mutable_stopping() = spec.stopping;
  submit.set_want_logprobs(spec.logprobs.has_value());
  submit.set_top_logprobs(spec.logprobs.value_or(0));
  submit.set_priority(spec.priority);
  submit.set_n(spec.n);
  submit.set_want_prompt_logprobs(spec.prompt_logprobs.has_value());
  submit.set_top_prompt_logprobs(spec.prompt_logprobs.value_or(0));
  submit.set_cache_salt(spec.cache_salt);
  if (spec.grammar.has_value()) *submit.mutable_grammar() = *spec.grammar;
  return submit;
}

}  // namespace facet
