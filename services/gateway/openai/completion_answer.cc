#include "services/gateway/openai/completion_answer.h"

#include <algorithm>
#include <utility>

namespace facet {
namespace {

constexpr char kObject[] = "text_completion";

int64_t CharactersOf(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

}  // namespace

CompletionAnswer::CompletionAnswer(AnswerHead head, const AnswerOptions& options, int n,
                                   TokenText text)
    : head_(std::move(head)),
      options_(options),
      text_(std::move(text)),
      choices_(static_cast<size_t>(n)) {}

std::set<int32_t> CompletionAnswer::TokensOf(const v1::GenerateResponse& event) {
  std::set<int32_t> ids;
  for (const v1::TokenLogprob& logprob : event.delta().logprobs()) {
    ids.insert(logprob.token_id());
    for (const v1::TopLogprob& top : logprob.top()) ids.insert(top.token_id());
  }
  return ids;
}

std::vector<Json> CompletionAnswer::Take(const v1::GenerateResponse& event) {
  switch (event.event_case()) {
    case v1::GenerateResponse::kStart:
      if (!event.start().model().empty()) head_.model = event.start().model();
      return {};
    case v1::GenerateResponse::kDelta:
      return TakeDelta(event.delta());
    case v1::GenerateResponse::kSequenceEnd:
      return EndChoice(event.sequence_end().index(), event.sequence_end().finish_reason());
    case v1::GenerateResponse::kEnd:
      return TakeEnd(event.end());
    default:
      return {};  // of a newer router
  }
}

Json CompletionAnswer::Chunk(int index, const std::string& text, Json logprobs,
                             Json finish_reason) const {
  Json chunk = HeadJson(head_, kObject);
  Json choice = {{"index", index},
                 {"text", text},
                 {"logprobs", std::move(logprobs)},
                 {"finish_reason", std::move(finish_reason)}};
  chunk["choices"] = Json::array({std::move(choice)});
  if (options_.include_usage) chunk["usage"] = nullptr;
  return chunk;
}

std::vector<Json> CompletionAnswer::TakeDelta(const v1::Delta& delta) {
  if (delta.index() < 0 || delta.index() >= static_cast<int>(choices_.size())) return {};
  Choice& choice = choices_[delta.index()];
  if (!options_.stream) {
    choice.text += delta.text();
    choice.logprobs.insert(choice.logprobs.end(), delta.logprobs().begin(), delta.logprobs().end());
    return {};
  }
  if (delta.text().empty() && !(options_.logprobs && delta.logprobs_size() > 0)) return {};
  Json logprobs = LogprobsJson(delta.logprobs(), &choice.characters);
  return {Chunk(delta.index(), delta.text(), std::move(logprobs), nullptr)};
}

std::vector<Json> CompletionAnswer::EndChoice(int index, v1::FinishReason reason) {
  if (index < 0 || index >= static_cast<int>(choices_.size())) return {};
  choices_[index].finish_reason = reason;
  if (!options_.stream) return {};
  return {Chunk(index, "", nullptr, FinishReasonName(reason))};
}

std::vector<Json> CompletionAnswer::TakeEnd(const v1::StreamEnd& end) {
  usage_ = end.usage();
  complete_ = true;
  std::vector<Json> chunks;
  // With one completion its end is the stream's.
  if (choices_.size() == 1) chunks = EndChoice(0, end.finish_reason());
  if (options_.stream && options_.include_usage) {
    Json chunk = HeadJson(head_, kObject);
    chunk["choices"] = Json::array();
    chunk["usage"] = UsageJson(usage_);
    chunks.push_back(std::move(chunk));
  }
  return chunks;
}

// Four parallel arrays. text_offset counts characters of the answer.
template <class Tokens>
Json CompletionAnswer::LogprobsJson(const Tokens& tokens, int64_t* characters) const {
  if (!options_.logprobs) return nullptr;
  Json json = {{"tokens", Json::array()},
               {"token_logprobs", Json::array()},
               {"top_logprobs", Json::array()},
               {"text_offset", Json::array()}};
  for (const v1::TokenLogprob& token : tokens) {
    const Json whole = LogprobJson(token, text_);
    json["tokens"].push_back(whole["token"]);
    json["token_logprobs"].push_back(whole["logprob"]);
    json["text_offset"].push_back(*characters);
    *characters += CharactersOf(whole["token"].get<std::string>());
    Json top = Json::object();
    for (const Json& other : whole["top_logprobs"]) {
      top[other["token"].get<std::string>()] = other["logprob"];
    }
    json["top_logprobs"].push_back(std::move(top));
  }
  return json;
}

Json CompletionAnswer::Whole() const {
  Json answer = HeadJson(head_, kObject);
  Json& choices = answer["choices"] = Json::array();
  for (size_t i = 0; i < choices_.size(); ++i) {
    int64_t characters = 0;
    choices.push_back({{"index", i},
                       {"text", choices_[i].text},
                       {"logprobs", LogprobsJson(choices_[i].logprobs, &characters)},
                       {"finish_reason", FinishReasonName(choices_[i].finish_reason)}});
  }
  answer["usage"] = UsageJson(usage_);
  return answer;
}

}  // namespace facet
