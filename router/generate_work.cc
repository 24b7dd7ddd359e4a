#include "router/generate_work.h"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "router/generation_output.h"

namespace facet {

absl::StatusOr<CallWork> PrepareGenerate(const RouterParts& parts, const RequestContext& context,
                                         const v1::GenerateRequest& request) {
  FACET_ASSIGN_OR_RETURN(GenerationSpec spec, parts.validator->Validate(request));
  const int context_length = parts.groups->context_length();
  if (request.prompt().has_token_ids()) {
    FACET_RETURN_IF_ERROR(
        CheckPromptLength(request.prompt().token_ids().ids_size(), context_length));
  }
  const absl::Time began = parts.clock();
  FACET_ASSIGN_OR_RETURN(const std::vector<int32_t> prompt, parts.prompts->Build(request.prompt()));
  if (request.prompt().has_text()) {
    parts.metrics->tokenize_seconds.Observe(absl::ToDoubleSeconds(parts.clock() - began));
  }
  FACET_RETURN_IF_ERROR(FitToContext(static_cast<int64_t>(prompt.size()), context_length, &spec));

  v1::StreamStart start;
  start.set_request_id(context.request_id);
  start.set_model(parts.model->name);
  start.set_prompt_tokens(static_cast<int32_t>(prompt.size()));
  return CallWork{MakeSubmit(spec, prompt),
                  std::make_unique<GenerationOutput>(parts.model, spec, std::move(start))};
}

}  // namespace facet
