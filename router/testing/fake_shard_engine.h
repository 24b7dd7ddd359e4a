#ifndef FACET_ROUTER_TESTING_FAKE_SHARD_ENGINE_H_
#define FACET_ROUTER_TESTING_FAKE_SHARD_ENGINE_H_

// The leader of a shard group, without a model: a real gRPC server on a free port that speaks
// ShardEngine and grpc.health.v1, and answers requests as its test says.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "proto/facet/internal/shard_engine.grpc.pb.h"
#include "proto/grpc/health/v1/health.grpc.pb.h"
#include "router/served_model.h"

namespace facet::testing {

// Thread-safe.
class FakeShardEngine {
 public:
  // Called for each request, on the thread that reads its stream; it may answer by Send.
  using OnSubmit = std::function<void(FakeShardEngine&, const internal::SubmitRequest&)>;

  // SERVING from the start, and serves `model`. By default it answers nothing by itself.
  explicit FakeShardEngine(const ServedModel& model, OnSubmit on_submit = nullptr);
  // Cuts its streams.
  ~FakeShardEngine();

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  // ---- what it says

  void SetServing(bool serving);
  // Health probes wait until told otherwise: a process that is stopped.
  void SetHanging(bool hanging);
  void SetInfo(const internal::EngineInfo& info);
  internal::EngineInfo info() const;

  // The first step of a request is planned.
  void SendStarted(uint64_t id, int cached_tokens = 0, double queue_seconds = 0);
  // Sends tokens of one completion of a request, and its finish, in one message to the newest
  // stream.
  void Send(uint64_t id, const std::vector<int32_t>& tokens,
            internal::Finish::Reason finish = internal::Finish::REASON_UNSPECIFIED, int index = 0);
  void SendError(uint64_t id, absl::StatusCode code, const std::string& message,
                 int retry_after_ms = 0);
  void SendFrame(const internal::EngineFrame& frame);
  // Ends the open streams; the server goes on. The router connects again.
  void CutStreams();
  // The process is gone: no answer to anything. It cannot come back.
  void Stop();

  // ---- what it has heard

  // Waits until there have been `count` requests (cancels) in all, at most 10 s; those there are.
  std::vector<internal::SubmitRequest> WaitForSubmits(size_t count);
  std::vector<uint64_t> WaitForCancels(size_t count);
  // The cancels and pauses themselves.
  std::vector<internal::CancelRequest> cancels() const;
  std::vector<internal::PauseRequest> WaitForPauses(size_t count);
  // Streams opened so far, and those that are open.
  int streams_opened() const;
  int streams_open() const;

 private:
  class Engine;
  class Health;
  using Stream = grpc::ServerReaderWriter<internal::EngineFrame, internal::RouterFrame>;

  struct OpenStream {
    Stream* stream;
    grpc::ServerContext* context;
  };

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool serving_ = true;
  bool hanging_ = false;
  bool stopped_ = false;
  internal::EngineInfo info_;
  OnSubmit on_submit_;
  std::vector<OpenStream> streams_;
  int streams_opened_ = 0;
  std::vector<internal::SubmitRequest> submits_;
  std::vector<internal::CancelRequest> cancels_;
  std::vector<internal::PauseRequest> pauses_;
  std::mutex write_mutex_;  // around writes to streams; taken before mutex_

  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Health> health_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// Answers every request by itself: it has started, then token (last of the prompt + 1), then + 2,
// and so on, all below 100, until max_tokens; `per_frame` tokens in a message.
FakeShardEngine::OnSubmit CountUp(int per_frame = 1);
// What CountUp gives for a prompt.
std::vector<int32_t> CountUpTokens(const std::vector<int32_t>& prompt, int count);

}  // namespace facet::testing

#endif  // FACET_ROUTER_TESTING_FAKE_SHARD_ENGINE_H_
