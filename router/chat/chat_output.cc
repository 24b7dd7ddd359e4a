#include "router/chat/chat_output.h"

#include <algorithm>
#include <utility>

#include "model/answer/call_suffix.h"
#include "router/token_logprob.h"

namespace facet {
namespace {

v1::ChatResponse* AsResponse(CallOutput::Message* message) {
  return google::protobuf::DynamicCastToGenerated<v1::ChatResponse>(message);
}

// Where more of this call's arguments goes.
v1::ToolCallDelta* CallOf(int index, v1::ChatDelta* delta) {
  const int size = delta->tool_calls_size();
  if (size > 0 && delta->tool_calls(size - 1).index() == index) {
    return delta->mutable_tool_calls(size - 1);
  }
  v1::ToolCallDelta* call = delta->add_tool_calls();
  call->set_index(index);
  return call;
}

void AddEvent(const AnswerEvent& event, v1::ChatDelta* delta) {
  switch (event.kind) {
    case AnswerEvent::Kind::kReasoning:
      delta->mutable_reasoning()->append(event.text);
      break;
    case AnswerEvent::Kind::kContent:
      delta->mutable_content()->append(event.text);
      break;
    case AnswerEvent::Kind::kCallBegin: {
      v1::ToolCallDelta* call = CallOf(event.call_index, delta);
      call->set_id(event.id);
      call->set_name(event.name);
      break;
    }
    case AnswerEvent::Kind::kCallArguments:
      CallOf(event.call_index, delta)->mutable_arguments()->append(event.text);
      break;
    case AnswerEvent::Kind::kCallEnd:
    case AnswerEvent::Kind::kCallWithdrawn:  // never: calls are given when they are whole
      break;
  }
}

bool IsEmpty(const v1::ChatDelta& delta) {
  return delta.token_ids().empty() && delta.content().empty() && delta.reasoning().empty() &&
         delta.tool_calls().empty();
}

AnswerOptions WithFilter(AnswerOptions options, ContentFilter* filter) {
  options.content_filter = filter;
  return options;
}

}  // namespace

ChatOutput::Completion::Completion(const Options& options, AnswerOptions answer,
                                   const std::vector<std::string>& stops)
    : stop(stops),
      parser(options.model->tokenizer.get(), options.control_tokens,
             WithFilter(std::move(answer), stops.empty() ? nullptr : &stop)) {}

ChatOutput::ChatOutput(Options options, const ChatSpec& spec)
    : CallOutput(spec.generation.n, options.start.prompt_tokens()),
      options_(std::move(options)),
      logprobs_(spec.generation.logprobs),
      min_tokens_(spec.generation.stopping.min_tokens()),
      parallel_tool_calls_(spec.parallel_tool_calls) {
  const internal::StoppingSettings& stopping = spec.generation.stopping;
  silent_ids_.assign(stopping.stop_token_ids().begin(), stopping.stop_token_ids().end());
  if (stopping.ignore_eos()) {
    silent_ids_.insert(silent_ids_.end(), stopping.end_token_ids().begin(),
                       stopping.end_token_ids().end());
  }
  std::sort(silent_ids_.begin(), silent_ids_.end());
  for (const Tool& tool : spec.conversation.tools) {
    if (tool.parameters.is_object()) parameters_.emplace(tool.name, tool.parameters);
  }
  AnswerOptions answer;
  answer.starts_in_reasoning = options_.starts_in_thought;
  answer.call_suffix = RandomCallSuffix;
  answer.find_parameters = [this](absl::string_view tool) -> const ArgumentSchema::Json* {
    const auto found = parameters_.find(std::string(tool));
    return found == parameters_.end() ? nullptr : &found->second;
  };
  answer.streams_calls = false;
  for (int i = 0; i < n(); ++i) completions_.emplace_back(options_, answer, spec.generation.stop);
}

std::optional<v1::FinishReason> ChatOutput::PushTokens(int index, const Tokens& tokens) {
  Completion& completion = completions_[Place(index)];
  bool complete = false;
  for (const internal::TokenOutput& token : tokens) {
    completion.delta.add_token_ids(token.token_id());
    if (logprobs_.has_value()) {
      *completion.delta.add_logprobs() = ToTokenLogprob(token, *logprobs_);
    }
    complete = PushToken(token.token_id(), &completion);
    if (complete) break;
  }
  AddEvents(&completion);
  if (!complete) return std::nullopt;
  return ReasonOf(completion, v1::STOP);
}

bool ChatOutput::PushToken(int32_t id, Completion* completion) {
  // As with Generate: stop strings count from the text of token min_tokens + 1 on.
  if (++completion->tokens > min_tokens_) completion->stop.Begin();
  if (IsSilent(id)) return false;
  if (completion->parser.Push(id, &events_)) return true;
  if (parallel_tool_calls_ || completion->parser.calls() == 0) return false;
  completion->parser.Finish(AnswerParser::End::kStop, &events_);
  return true;
}

bool ChatOutput::IsSilent(int32_t id) const {
  return std::binary_search(silent_ids_.begin(), silent_ids_.end(), id);
}

v1::FinishReason ChatOutput::FinishCompletion(int index, v1::FinishReason reason) {
  Completion& completion = completions_[Place(index)];
  completion.parser.Finish(
      reason == v1::STOP ? AnswerParser::End::kStop : AnswerParser::End::kLength, &events_);
  AddEvents(&completion);
  return ReasonOf(completion, reason);
}

v1::FinishReason ChatOutput::ReasonOf(const Completion& completion, v1::FinishReason reason) {
  if (reason == v1::CANCELLED) return reason;
  if (completion.parser.stopped_by_filter()) return v1::STOP_SEQUENCE;
  return reason == v1::STOP && completion.parser.calls() > 0 ? v1::TOOL_CALL : reason;
}

void ChatOutput::AddEvents(Completion* completion) {
  for (const AnswerEvent& event : events_) AddEvent(event, &completion->delta);
  events_.clear();
}

void ChatOutput::WriteStart(Message* message) {
  v1::ChatStart& start = *AsResponse(message)->mutable_start();
  start = options_.start;
  start.set_cached_tokens(cached_tokens());
  *start.mutable_not_enforced() = not_enforced();
}

bool ChatOutput::WriteDelta(int index, Message* message) {
  Completion& completion = completions_[Place(index)];
  if (IsEmpty(completion.delta)) return false;
  v1::ChatDelta& delta = *AsResponse(message)->mutable_delta();
  delta = std::move(completion.delta);
  delta.set_index(index);
  completion.delta.Clear();
  return true;
}

bool ChatOutput::WriteSequenceEnd(int index, Message* message) {
  const Completion& completion = completions_[Place(index)];
  v1::ChatSequenceEnd& end = *AsResponse(message)->mutable_sequence_end();
  end.set_index(index);
  end.set_finish_reason(CallOutput::finish_reason(index));
  end.set_completion_tokens(completion.tokens);
  end.set_reasoning_tokens(completion.parser.reasoning_tokens());
  if (end.finish_reason() == v1::STOP_SEQUENCE) end.set_matched_stop(completion.stop.match());
  return true;
}

void ChatOutput::WriteEnd(const v1::Timings& timings, Message* message) {
  v1::ChatEnd& end = *AsResponse(message)->mutable_end();
  *end.mutable_usage() = MakeUsage();
  *end.mutable_timings() = timings;
}

void ChatOutput::DropPending() {
  for (Completion& completion : completions_) completion.delta.Clear();
}

int ChatOutput::reasoning_tokens() const {
  int count = 0;
  for (const Completion& completion : completions_) count += completion.parser.reasoning_tokens();
  return count;
}

int ChatOutput::tool_calls() const {
  int count = 0;
  for (const Completion& completion : completions_) count += completion.parser.calls();
  return count;
}

int ChatOutput::broken_tool_calls() const {
  int count = 0;
  for (const Completion& completion : completions_) count += completion.parser.broken_calls();
  return count;
}

}  // namespace facet
