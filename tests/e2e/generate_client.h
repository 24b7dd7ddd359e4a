#ifndef FACET_TESTS_E2E_GENERATE_CLIENT_H_
#define FACET_TESTS_E2E_GENERATE_CLIENT_H_

// One call of Generate, read to its end.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "grpcpp/grpcpp.h"
#include "proto/facet/v1/generation.grpc.pb.h"

namespace facet::testing {

struct Answer {
  grpc::Status status;
  v1::StreamStart start;
  std::vector<int32_t> token_ids;
  std::string text;
  std::vector<v1::TokenLogprob> logprobs;
  v1::StreamEnd end;
  int empty_deltas = 0;
};

inline Answer Generate(const std::shared_ptr<grpc::Channel>& channel,
                       const v1::GenerateRequest& request, int timeout_seconds = 40) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(timeout_seconds));
  Answer answer;
  const auto stub = v1::Generation::NewStub(channel);
  const auto reader = stub->Generate(&context, request);
  v1::GenerateResponse message;
  while (reader->Read(&message)) {
    if (message.has_start()) answer.start = message.start();
    if (message.has_end()) answer.end = message.end();
    if (!message.has_delta()) continue;
    const v1::Delta& delta = message.delta();
    if (delta.text().empty() && delta.token_ids().empty()) ++answer.empty_deltas;
    answer.token_ids.insert(answer.token_ids.end(), delta.token_ids().begin(),
                            delta.token_ids().end());
    answer.text += delta.text();
    answer.logprobs.insert(answer.logprobs.end(), delta.logprobs().begin(), delta.logprobs().end());
  }
  answer.status = reader->Finish();
  return answer;
}

// A code point from the middle of a text; empty if there is none.
inline std::string CodePointFromTheMiddle(const std::string& text) {
  const auto continues = [&text](size_t i) {
    return i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
  };
  size_t begin = text.size() / 2;
  while (begin > 0 && continues(begin)) --begin;
  size_t end = begin + 1;
  while (continues(end)) ++end;
  return text.empty() ? "" : text.substr(begin, end - begin);
}

// Greedy, never stopped by an end token.
inline v1::GenerateRequest GreedyRequest(const std::vector<int32_t>& prompt, int max_tokens) {
  v1::GenerateRequest request;
  request.mutable_prompt()->mutable_token_ids()->mutable_ids()->Add(prompt.begin(), prompt.end());
  request.mutable_sampling()->set_temperature(0);
  request.mutable_stopping()->set_max_tokens(max_tokens);
  request.mutable_stopping()->set_ignore_eos(true);
  return request;
}

}  // namespace facet::testing

#endif  // FACET_TESTS_E2E_GENERATE_CLIENT_H_
