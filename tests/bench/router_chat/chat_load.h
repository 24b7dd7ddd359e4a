#ifndef FACET_TESTS_BENCH_ROUTER_CHAT_CHAT_LOAD_H_
#define FACET_TESTS_BENCH_ROUTER_CHAT_CHAT_LOAD_H_

// Chats at a given rate or concurrency, and how long each took to its first token.

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "proto/facet/v1/generation.grpc.pb.h"

namespace facet {

struct ChatLoadResult {
  std::vector<absl::Duration> first_tokens;  // sorted; of chats that succeeded
  int failed = 0;
  int64_t tokens = 0;
  int64_t deltas = 0;  // messages with tokens
  absl::Duration elapsed;
};

// The value that `share` of them do not exceed; `sorted` is not empty.
absl::Duration Quantile(const std::vector<absl::Duration>& sorted, double share);

v1::ChatRequest UserMessage(const std::string& text, int max_tokens);

// `count` chats, `concurrency` of them at a time, each a thread of its own.
ChatLoadResult RunConcurrent(v1::Generation::Stub& stub, const v1::ChatRequest& request, int count,
                             int concurrency);

// `count` chats that begin every 1 / `rate` seconds, however long those before take.
ChatLoadResult RunAtRate(v1::Generation::Stub& stub, const v1::ChatRequest& request, int count,
                         double rate);

}  // namespace facet

#endif  // FACET_TESTS_BENCH_ROUTER_CHAT_CHAT_LOAD_H_
