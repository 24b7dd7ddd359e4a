#include "router/chat/chat_work.h"

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "router/chat/chat_output.h"
#include "router/media_target.h"

namespace facet {
namespace {

void SetReasoningBudget(const ChatSpec& spec, const ChatPrompts& chat, bool starts_in_thought,
                        internal::SubmitRequest* submit) {
  if (!spec.max_reasoning_tokens.has_value() || chat.close_channel_id() < 0) return;
  internal::ReasoningBudget& budget = *submit->mutable_reasoning_budget();
  budget.set_max_tokens(*spec.max_reasoning_tokens);
  budget.set_starts_in_thought(starts_in_thought);
  budget.set_open_token(chat.open_channel_id());
  budget.set_close_token(chat.close_channel_id());
}

internal::Grammar::ThoughtStart ThoughtStartOf(const ChatSpec& spec, bool starts_in_thought) {
  if (starts_in_thought) return internal::Grammar::IN_THOUGHT;
  // Who asks for a form and for no thought wants the form at once.
  const bool thinks = spec.conversation.enable_thinking && spec.max_reasoning_tokens != 0;
  return thinks ? internal::Grammar::MAY_THINK : internal::Grammar::ANSWER;
}

}  // namespace

MediaInputs MediaOf(const v1::ChatRequest& request) {
  MediaInputs out;
  for (int m = 0; m < request.messages_size(); ++m) {
    for (int p = 0; p < request.messages(m).content_size(); ++p) {
      const v1::ContentPart& part = request.messages(m).content(p);
      if (!part.has_media()) continue;
      out.push_back({&part.media(), absl::StrCat("messages[", m, "].content[", p, "].media")});
    }
  }
  return out;
}

absl::StatusOr<CallWork> PrepareChat(const RouterParts& parts, const ChatPrompts& chat,
                                     const RequestContext& context,
                                     const v1::ChatRequest& request) {
  FACET_ASSIGN_OR_RETURN(ChatSpec spec, chat.Validate(request));
  const MediaInputs media = MediaOf(request);
  FACET_RETURN_IF_ERROR(parts.media->Validate(media));
  const absl::Time began = parts.clock();
  FACET_ASSIGN_OR_RETURN(ChatPrompt prompt, chat.Make(spec));
  parts.metrics->tokenize_seconds.Observe(absl::ToDoubleSeconds(parts.clock() - began));
  FACET_ASSIGN_OR_RETURN(ExpandedPrompt expanded,
                         parts.media->Make(std::move(prompt.token_ids), media,
                                           TargetOf(media, *parts.groups, context)));
  const auto prompt_tokens = static_cast<int32_t>(expanded.token_ids.size());
  FACET_RETURN_IF_ERROR(
      FitToContext(prompt_tokens, parts.groups->context_length(), &spec.generation));

  CallWork work;
  work.submit = MakeSubmit(spec.generation, expanded.token_ids);
  AddMedia(std::move(expanded.spans), &work.submit);
  if (spec.grammar.has_value()) {
    *work.submit.mutable_grammar() = std::move(*spec.grammar);
    work.submit.mutable_grammar()->set_thought_start(ThoughtStartOf(spec, prompt.ends_in_thought));
  }
  SetReasoningBudget(spec, chat, prompt.ends_in_thought, &work.submit);
  ChatOutput::Options options;
  options.model = parts.model;
  options.control_tokens = &chat.control_tokens();
  options.starts_in_thought = prompt.ends_in_thought;
  options.start.set_request_id(context.request_id);
  options.start.set_model(parts.model->name);
  options.start.set_prompt_tokens(prompt_tokens);
  options.start.mutable_media()->Add(expanded.usage.begin(), expanded.usage.end());
  work.output = std::make_unique<ChatOutput>(std::move(options), spec);
  return work;
}

}  // namespace facet
