#ifndef FACET_TESTS_TESTING_ENGINE_CLIENT_H_
#define FACET_TESTS_TESTING_ENGINE_CLIENT_H_

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "proto/facet/internal/shard_engine.grpc.pb.h"

namespace facet::testing {

// A greedy request for `max_tokens` tokens that no end token stops.
internal::SubmitRequest GreedyRequest(uint64_t id, const std::vector<int32_t>& prompt,
                                      int max_tokens);

// The router's side of one ShardEngine stream. Notices a server that hangs (by keepalive) within
// about two seconds. Thread-safe.
class EngineClient {
 public:
  explicit EngineClient(const std::string& leader_address);
  // Breaks the stream.
  ~EngineClient();

  void Submit(internal::SubmitRequest request);
  void Cancel(uint64_t id);

  // All output of a request, merged, once it has its finish; nullopt if the stream ended first, or
  // after `timeout`.
  std::optional<internal::SequenceOutput> WaitFor(uint64_t id, absl::Duration timeout);

  // Waits until the request has that many tokens.
  bool WaitForTokens(uint64_t id, int count, absl::Duration timeout);

  // From now on each of these requests is followed by another one like it, as long as the stream
  // holds: the group stays busy. Ids from 1,000,000 on.
  void KeepBusy(int requests, const std::vector<int32_t>& prompt, int max_tokens);

  // The status with which the stream ended; nullopt if it still holds after `timeout`.
  std::optional<grpc::Status> WaitForEnd(absl::Duration timeout);

  // Finishes with ERROR, of all requests.
  std::vector<internal::Finish> errors() const;
  // Tokens received, of all requests.
  int64_t tokens() const;

 private:
  void Read();

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<internal::ShardEngine::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<internal::RouterFrame, internal::EngineFrame>> stream_;

  std::mutex write_mutex_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, internal::SequenceOutput> outputs_;
  std::vector<internal::Finish> errors_;
  std::map<uint64_t, internal::SubmitRequest> repeated_;
  uint64_t next_repeated_ = 1000000;
  int64_t tokens_ = 0;
  std::optional<grpc::Status> end_;
  std::thread reader_;
};

}  // namespace facet::testing

#endif  // FACET_TESTS_TESTING_ENGINE_CLIENT_H_
