#include "services/gateway/openai/chat_answer.h"

#include <utility>

namespace facet {
namespace {

constexpr char kChunk[] = "chat.completion.chunk";

// Of a delta: only the first one of a call has id, type and name.
Json ToolCallJson(const v1::ToolCallDelta& call) {
  Json function = Json::object();
  if (!call.name().empty()) function["name"] = call.name();
  function["arguments"] = call.arguments();
  Json json = {{"index", call.index()}, {"function", std::move(function)}};
  if (!call.id().empty()) {
    json["id"] = call.id();
    json["type"] = "function";
  }
  return json;
}

}  // namespace

ChatAnswer::ChatAnswer(AnswerHead head, const AnswerOptions& options, int n, TokenText text)
    : head_(std::move(head)),
      options_(options),
      text_(std::move(text)),
      choices_(static_cast<size_t>(n)) {}

std::set<int32_t> ChatAnswer::TokensOf(const v1::ChatResponse& event) {
  std::set<int32_t> ids;
  for (const v1::TokenLogprob& logprob : event.delta().logprobs()) {
    ids.insert(logprob.token_id());
    for (const v1::TopLogprob& top : logprob.top()) ids.insert(top.token_id());
  }
  return ids;
}

std::vector<Json> ChatAnswer::Take(const v1::ChatResponse& event) {
  switch (event.event_case()) {
    case v1::ChatResponse::kStart:
      return TakeStart(event.start());
    case v1::ChatResponse::kDelta:
      return TakeDelta(event.delta());
    case v1::ChatResponse::kSequenceEnd: {
      const v1::ChatSequenceEnd& end = event.sequence_end();
      if (end.index() < 0 || end.index() >= static_cast<int>(choices_.size())) return {};
      choices_[end.index()].finish_reason = end.finish_reason();
      if (!options_.stream) return {};
      return {Chunk(end.index(), Json::object(), FinishReasonName(end.finish_reason()))};
    }
    case v1::ChatResponse::kEnd:
      return TakeEnd(event.end());
    default:
      return {};  // of a newer router
  }
}

Json ChatAnswer::Chunk(int index, Json delta, Json finish_reason) const {
  Json chunk = HeadJson(head_, kChunk);
  Json choice = {{"index", index},
                 {"delta", std::move(delta)},
                 {"logprobs", nullptr},
                 {"finish_reason", std::move(finish_reason)}};
  chunk["choices"] = Json::array({std::move(choice)});
  if (options_.include_usage) chunk["usage"] = nullptr;
  return chunk;
}

std::vector<Json> ChatAnswer::TakeStart(const v1::ChatStart& start) {
  if (!start.model().empty()) head_.model = start.model();
  std::vector<Json> chunks;
  for (size_t i = 0; options_.stream && i < choices_.size(); ++i) {
    chunks.push_back(Chunk(static_cast<int>(i), {{"role", "assistant"}, {"content", ""}}, nullptr));
  }
  return chunks;
}

std::vector<Json> ChatAnswer::TakeDelta(const v1::ChatDelta& delta) {
  if (delta.index() < 0 || delta.index() >= static_cast<int>(choices_.size())) return {};
  if (!options_.stream) {
    Add(delta, &choices_[delta.index()]);
    return {};
  }
  const bool has_logprobs = options_.logprobs && delta.logprobs_size() > 0;
  const bool has_text =
      !delta.content().empty() || !delta.reasoning().empty() || delta.tool_calls_size() > 0;
  if (!has_text && !has_logprobs) return {};  // token ids alone: the text follows
  return {ChunkOf(delta)};
}

Json ChatAnswer::ChunkOf(const v1::ChatDelta& delta) const {
  Json json = Json::object();
  if (!delta.reasoning().empty()) json["reasoning_content"] = delta.reasoning();
  if (!delta.content().empty()) json["content"] = delta.content();
  for (const v1::ToolCallDelta& call : delta.tool_calls()) {
    json["tool_calls"].push_back(ToolCallJson(call));
  }
  Json chunk = Chunk(delta.index(), std::move(json), nullptr);
  if (options_.logprobs) chunk["choices"][0]["logprobs"] = {{"content", LogprobsOf(delta)}};
  return chunk;
}

std::vector<Json> ChatAnswer::TakeEnd(const v1::ChatEnd& end) {
  usage_ = end.usage();
  complete_ = true;
  if (!options_.stream || !options_.include_usage) return {};
  Json chunk = HeadJson(head_, kChunk);
  chunk["choices"] = Json::array();
  chunk["usage"] = UsageJson(usage_);
  return {std::move(chunk)};
}

void ChatAnswer::Add(const v1::ChatDelta& delta, Choice* choice) const {
  choice->content += delta.content();
  choice->reasoning += delta.reasoning();
  for (const v1::ToolCallDelta& call : delta.tool_calls()) {
    if (call.index() < 0 || call.index() > static_cast<int>(choice->tool_calls.size())) continue;
    if (call.index() == static_cast<int>(choice->tool_calls.size())) {
      choice->tool_calls.push_back(
          {{"id", ""}, {"type", "function"}, {"function", {{"name", ""}, {"arguments", ""}}}});
    }
    Json& whole = choice->tool_calls[call.index()];
    if (!call.id().empty()) whole["id"] = call.id();
    if (!call.name().empty()) whole["function"]["name"] = call.name();
    whole["function"]["arguments"].get_ref<std::string&>() += call.arguments();
  }
  for (Json& logprob : LogprobsOf(delta)) choice->logprobs.push_back(std::move(logprob));
}

Json ChatAnswer::LogprobsOf(const v1::ChatDelta& delta) const {
  Json content = Json::array();
  if (!options_.logprobs) return content;
  for (const v1::TokenLogprob& logprob : delta.logprobs()) {
    content.push_back(LogprobJson(logprob, text_));
  }
  return content;
}

Json ChatAnswer::MessageOf(const Choice& choice) const {
  Json message = {{"role", "assistant"}, {"content", choice.content}, {"refusal", nullptr}};
  if (!choice.reasoning.empty()) message["reasoning_content"] = choice.reasoning;
  if (!choice.tool_calls.empty()) {
    message["tool_calls"] = choice.tool_calls;
    if (choice.content.empty()) message["content"] = nullptr;
  }
  return message;
}

Json ChatAnswer::Whole() const {
  Json answer = HeadJson(head_, "chat.completion");
  Json& choices = answer["choices"] = Json::array();
  for (size_t i = 0; i < choices_.size(); ++i) {
    choices.push_back(
        {{"index", i},
         {"message", MessageOf(choices_[i])},
         {"logprobs", options_.logprobs ? Json{{"content", choices_[i].logprobs}} : Json()},
         {"finish_reason", FinishReasonName(choices_[i].finish_reason)}});
  }
  answer["usage"] = UsageJson(usage_);
  return answer;
}

}  // namespace facet
