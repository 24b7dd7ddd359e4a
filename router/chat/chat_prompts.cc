#include "router/chat/chat_prompts.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/chat/chat_template.h"
#include "router/chat/chat_grammar.h"
#include "router/chat/conversation_proto.h"

namespace facet {
namespace {

// The id of a piece; -1 if the tokenizer has none, or the model none of that id.
int32_t FindId(const ServedModel& model, const char* piece) {
  const int32_t id = model.tokenizer->TokenToId(piece).value_or(-1);
  return id < model.vocab_size() ? id : -1;
}

}  // namespace

ChatPrompts::ChatPrompts(const ServedModel* model, const RequestValidator* validator)
    : model_(model), validator_(validator) {
  if (model->tokenizer == nullptr) return;
  control_tokens_.emplace(*model->tokenizer);
  for (const char* end : {"<eos>", "<turn|>", "<|tool_response>"}) {
    const int32_t id = FindId(*model, end);
    if (id >= 0) end_ids_.push_back(id);
  }
  open_call_id_ = FindId(*model, "<|tool_call>");
  open_channel_id_ = FindId(*model, "<|channel>");
  close_channel_id_ = FindId(*model, "<channel|>");
}

absl::StatusOr<ChatSpec> ChatPrompts::Validate(const v1::ChatRequest& request) const {
  FACET_RETURN_IF_ERROR(validator_->ValidateModel(request.model()));
  FACET_RETURN_IF_ERROR(validator_->ValidateText("messages", ""));  // is there a tokenizer?
  FACET_RETURN_IF_ERROR(CheckSizes(request));
  ChatSpec spec;
  FACET_ASSIGN_OR_RETURN(spec.generation, validator_->ResolveShared(request));
  FACET_RETURN_IF_ERROR(ResolveTools(request, &spec));
  if (request.has_max_reasoning_tokens()) {
    if (request.max_reasoning_tokens() < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "max_reasoning_tokens is ", request.max_reasoning_tokens(), "; allowed: 0 and above"));
    }
    spec.max_reasoning_tokens = request.max_reasoning_tokens();
  }
  AddEndTokens(&spec.generation.stopping);
  FACET_ASSIGN_OR_RETURN(spec.conversation, ConversationFromProto(request));
  return spec;
}

absl::Status ChatPrompts::CheckSizes(const v1::ChatRequest& request) const {
  if (request.messages_size() < 1 || request.messages_size() > ChatLimits::kMaxMessages) {
    return absl::InvalidArgumentError(absl::StrCat("messages has ", request.messages_size(),
                                                   " entries; allowed: 1 to ",
                                                   ChatLimits::kMaxMessages));
  }
  if (request.tools_size() > ChatLimits::kMaxTools) {
    return absl::InvalidArgumentError(absl::StrCat("tools has ", request.tools_size(),
                                                   " entries; at most ", ChatLimits::kMaxTools));
  }
  size_t bytes = 0;
  for (const v1::ChatMessage& message : request.messages()) {
    bytes += message.ByteSizeLong();
    // Media have a limit of their own.
    for (const v1::ContentPart& part : message.content()) bytes -= part.media().ByteSizeLong();
  }
  for (const v1::Tool& tool : request.tools()) bytes += tool.ByteSizeLong();
  if (bytes <= validator_->limits().max_prompt_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("messages and tools have ", bytes, " bytes; at most ",
                   validator_->limits().max_prompt_bytes, " are accepted"));
}

absl::Status ChatPrompts::ResolveTools(const v1::ChatRequest& request, ChatSpec* spec) const {
  FACET_ASSIGN_OR_RETURN(const v1::ToolChoice::Mode mode, ResolveToolChoice(request));
  FACET_ASSIGN_OR_RETURN(spec->grammar, MakeGrammar(request, mode));
  if (mode == v1::ToolChoice::NONE && open_call_id_ >= 0) {
    spec->generation.sampling.add_suppress_tokens(open_call_id_);
  }
  spec->parallel_tool_calls = !request.has_parallel_tool_calls() || request.parallel_tool_calls();
  return absl::OkStatus();
}

void ChatPrompts::AddEndTokens(internal::StoppingSettings* stopping) const {
  for (const int32_t id : end_ids_) {
    const auto& ids = stopping->end_token_ids();
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) stopping->add_end_token_ids(id);
  }
}

absl::StatusOr<ChatPrompt> ChatPrompts::Make(const ChatSpec& spec) const {
  ChatTemplateOptions options;
  options.variant = model_->chat_template.variant;
  FACET_ASSIGN_OR_RETURN(RenderedPrompt rendered, RenderChat(spec.conversation, options));
  ChatPrompt prompt;
  FACET_ASSIGN_OR_RETURN(prompt.token_ids, model_->tokenizer->EncodeWithPlainRanges(
                                               rendered.text, rendered.caller_ranges));
  for (const int32_t id : prompt.token_ids) {
    if (id < model_->vocab_size()) continue;
    return absl::InvalidArgumentError(absl::StrCat("the messages hold token ", id,
                                                   " of the tokenizer; the model has only 0 to ",
                                                   model_->vocab_size() - 1));
  }
  prompt.text = std::move(rendered.text);
  prompt.ends_in_thought = rendered.ends_in_thought;
  return prompt;
}

absl::StatusOr<ChatPrompt> ChatPrompts::Make(const v1::ChatRequest& request) const {
  FACET_ASSIGN_OR_RETURN(const ChatSpec spec, Validate(request));
  return Make(spec);
}

}  // namespace facet
