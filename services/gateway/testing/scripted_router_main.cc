// A router with a script instead of a model, for tests of clients: what it answers follows from the
// last message.
//
//   scripted_router_main PORT_FILE
//
//   a user's message, with tools      a call of the first tool with {"text": the message}
//   a tool's result                   "result: " and the result
//   "break"                           UNAVAILABLE after some content
//   "full"                            RESOURCE_EXHAUSTED, come again in 1 s
//   "endless"                         content until the caller leaves
//   a JSON schema asked for           {"answer":42}
//   else                              "you said: " and the message, and what media came with it
// With thinking there is a thought before.

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "services/gateway/testing/scripted_router.h"
#include "services/serving/port_file.h"
#include "services/serving/status_to_grpc.h"

namespace facet::testing {
namespace {

std::string TextOf(const v1::ChatMessage& message) {
  std::string text;
  int images = 0, clips = 0;
  for (const v1::ContentPart& part : message.content()) {
    text += part.text();
    if (!part.has_media()) continue;
    ++(part.media().kind() == v1::Media::IMAGE ? images : clips);
  }
  if (images + clips > 0)
    absl::StrAppend(&text, " with ", images, " image(s), ", clips, " clip(s)");
  return text;
}

class Answer {
 public:
  Answer(const v1::ChatRequest& request, int index, grpc::ServerWriter<v1::ChatResponse>* writer)
      : request_(request), index_(index), writer_(writer) {}

  bool Content(const std::string& text) {
    v1::ChatResponse event = Delta();
    event.mutable_delta()->set_content(text);
    if (request_.has_logprobs()) {
      v1::TokenLogprob* logprob = event.mutable_delta()->add_logprobs();
      logprob->set_token_id(5);
      logprob->set_logprob(-0.25f);
      for (int i = 0; i < request_.logprobs(); ++i) logprob->add_top()->set_token_id(i);
    }
    return writer_->Write(event);
  }

  void Thought(const std::string& text) {
    v1::ChatResponse event = Delta();
    event.mutable_delta()->set_reasoning(text);
    writer_->Write(event);
  }

  void Call(const std::string& id, const std::string& name, const std::string& arguments) {
    v1::ChatResponse event = Delta();
    v1::ToolCallDelta* call = event.mutable_delta()->add_tool_calls();
    call->set_id(id);
    call->set_name(name);
    call->set_arguments(arguments);
    writer_->Write(event);
  }

  void End(v1::FinishReason reason) {
    v1::ChatResponse event;
    event.mutable_sequence_end()->set_index(index_);
    event.mutable_sequence_end()->set_finish_reason(reason);
    writer_->Write(event);
  }

 private:
  v1::ChatResponse Delta() const {
    v1::ChatResponse event;
    event.mutable_delta()->set_index(index_);
    return event;
  }

  const v1::ChatRequest& request_;
  const int index_;
  grpc::ServerWriter<v1::ChatResponse>* const writer_;
};

void WriteAnswer(const v1::ChatRequest& request, const std::string& text, Answer answer) {
  const bool of_tool = request.messages().rbegin()->role() == v1::ChatMessage::TOOL;
  if (request.enable_thinking()) answer.Thought("let me think");
  if (request.tools_size() > 0 && !of_tool) {
    answer.Call("call_1", request.tools(0).name(), "{\"text\":");
    answer.Call("", "", absl::StrCat("\"", text, "\"}"));
    return answer.End(v1::TOOL_CALL);
  }
  if (request.response_format().has_json_schema()) {
    answer.Content("{\"answer\":");
    answer.Content("42}");
  } else {
    answer.Content(of_tool ? "result: " : "you said: ");
    answer.Content(text);
  }
  answer.End(v1::STOP);
}

grpc::Status Chat(grpc::ServerContext* context, const v1::ChatRequest& request,
                  grpc::ServerWriter<v1::ChatResponse>* writer) {
  const std::string text = TextOf(*request.messages().rbegin());
  if (text == "full") {
    context->AddTrailingMetadata(kRetryAfterMetadata, "1000");
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the queue is full");
  }
  writer->Write(ChatEvent("start { model: 'org/gemma' prompt_tokens: 7 }"));
  if (text == "break") {
    Answer(request, 0, writer).Content("half an ");
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the group was lost");
  }
  while (text == "endless") {
    if (context->IsCancelled() || !Answer(request, 0, writer).Content("on and ")) {
      std::puts("cancelled");
      std::fflush(stdout);
      return grpc::Status::CANCELLED;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  for (int i = 0; i < request.n(); ++i) WriteAnswer(request, text, Answer(request, i, writer));
  writer->Write(
      ChatEvent("end { usage { prompt_tokens: 7 cached_tokens: 2 completion_tokens: 3 } }"));
  return grpc::Status::OK;
}

}  // namespace
}  // namespace facet::testing

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  facet::testing::ScriptedRouter router;
  router.chat = facet::testing::Chat;
  if (!facet::WritePortFile(argv[1], router.port(), 0).ok()) return 1;
  int signal = 0;
  sigwait(&signals, &signal);
  return 0;
}
