#include "router/generate_work.h"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "router/generation_output.h"
#include "router/media_target.h"

namespace facet {
MediaInputs MediaOf(const google::protobuf::RepeatedPtrField<v1::Media>& media) {
  MediaInputs out;
  for (int i = 0; i < media.size(); ++i) {
    out.push_back({&media.Get(i), absl::StrCat("media[", i, "]")});
  }
  return out;
}

absl::StatusOr<CallWork> PrepareGenerate(const RouterParts& parts, const RequestContext& context,
                                         const v1::GenerateRequest& request) {
  FACET_ASSIGN_OR_RETURN(GenerationSpec spec, parts.validator->Validate(request));
  const MediaInputs media = MediaOf(request.media());
  FACET_RETURN_IF_ERROR(parts.media->Validate(media));
  const int context_length = parts.groups->context_length();
  if (request.prompt().has_token_ids()) {
    FACET_RETURN_IF_ERROR(
        CheckPromptLength(request.prompt().token_ids().ids_size(), context_length));
  }
  const absl::Time began = parts.clock();
  FACET_ASSIGN_OR_RETURN(std::vector<int32_t> placeholders, parts.prompts->Build(request.prompt()));
  if (request.prompt().has_text()) {
    parts.metrics->tokenize_seconds.Observe(absl::ToDoubleSeconds(parts.clock() - began));
  }
  FACET_ASSIGN_OR_RETURN(
      ExpandedPrompt prompt,
      parts.media->Make(std::move(placeholders), media, TargetOf(media, *parts.groups, context)));
  const auto prompt_tokens = static_cast<int32_t>(prompt.token_ids.size());
  FACET_RETURN_IF_ERROR(FitToContext(prompt_tokens, context_length, &spec));

  v1::StreamStart start;
  start.set_request_id(context.request_id);
  start.set_model(parts.model->name);
  start.set_prompt_tokens(prompt_tokens);
  start.mutable_media()->Add(prompt.usage.begin(), prompt.usage.end());
  CallWork work{MakeSubmit(spec, prompt.token_ids),
                std::make_unique<GenerationOutput>(parts.model, spec, std::move(start))};
  AddMedia(std::move(prompt.spans), &work.submit);
  return work;
}

}  // namespace facet
