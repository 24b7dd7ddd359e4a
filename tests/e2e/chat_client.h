#ifndef FACET_TESTS_E2E_CHAT_CLIENT_H_
#define FACET_TESTS_E2E_CHAT_CLIENT_H_

// One call of Chat with one completion, read to its end; and what makes its messages.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "grpcpp/grpcpp.h"
#include "proto/facet/v1/generation.grpc.pb.h"

namespace facet::testing {

struct ChatAnswer {
  grpc::Status status;
  v1::ChatStart start;
  std::string content;
  std::vector<v1::ToolCallDelta> calls;  // whole ones
  std::vector<int32_t> token_ids;
  v1::ChatSequenceEnd sequence_end;
  v1::ChatEnd end;
};

inline ChatAnswer Chat(const std::shared_ptr<grpc::Channel>& channel,
                       const v1::ChatRequest& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  ChatAnswer answer;
  const auto stub = v1::Generation::NewStub(channel);
  const auto reader = stub->Chat(&context, request);
  v1::ChatResponse message;
  while (reader->Read(&message)) {
    if (message.has_start()) answer.start = message.start();
    if (message.has_sequence_end()) answer.sequence_end = message.sequence_end();
    if (message.has_end()) answer.end = message.end();
    if (!message.has_delta()) continue;
    const v1::ChatDelta& delta = message.delta();
    answer.content += delta.content();
    answer.token_ids.insert(answer.token_ids.end(), delta.token_ids().begin(),
                            delta.token_ids().end());
    for (const v1::ToolCallDelta& part : delta.tool_calls()) {
      const auto index = static_cast<size_t>(part.index());
      if (index >= answer.calls.size()) answer.calls.resize(index + 1);
      v1::ToolCallDelta& call = answer.calls[index];
      if (!part.id().empty()) call.set_id(part.id());
      if (!part.name().empty()) call.set_name(part.name());
      call.mutable_arguments()->append(part.arguments());
    }
  }
  answer.status = reader->Finish();
  return answer;
}

// A message without content at the end of the request.
inline v1::ChatMessage* AddMessage(v1::ChatMessage::Role role, v1::ChatRequest* request) {
  v1::ChatMessage* const message = request->add_messages();
  message->set_role(role);
  return message;
}

inline void AddText(const std::string& text, v1::ChatMessage* message) {
  message->add_content()->set_text(text);
}

inline v1::Media* AddMedium(v1::Media::Kind kind, v1::ChatMessage* message) {
  v1::Media* const media = message->add_content()->mutable_media();
  media->set_kind(kind);
  return media;
}

}  // namespace facet::testing

#endif  // FACET_TESTS_E2E_CHAT_CLIENT_H_
