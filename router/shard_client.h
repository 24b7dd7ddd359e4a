#ifndef FACET_ROUTER_SHARD_CLIENT_H_
#define FACET_ROUTER_SHARD_CLIENT_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "proto/facet/internal/shard_engine.grpc.pb.h"
#include "proto/grpc/health/v1/health.grpc.pb.h"
#include "router/shard_stream.h"

namespace facet {

// What one request hears from its shard group. Called from gRPC's threads, one call at a time; must
// not block.
class ShardSink {
 public:
  virtual ~ShardSink() = default;
  // New tokens, and the finish on the last call.
  virtual void OnOutput(const internal::SequenceOutput& output) = 0;
  // The group was lost before the request had finished; nothing follows.
  virtual void OnLost(const absl::Status& reason) = 0;
};

// What a group must serve. An empty fingerprint is not compared.
struct ExpectedModel {
  std::string model_type;
  int vocab_size = 0;
  std::string fingerprint;
};

// The connection to the leader of one shard group: one long-lived stream that carries all requests.
//
// The group is ready when its health says SERVING, it serves the expected model, and the stream is
// open. A lost stream, and a health probe that gets no answer within `probe_timeout`, lose the
// group: its requests are told at once, and the connection is made anew, with growing pauses. A
// group that drains (NOT_SERVING, stream still open) gets no new requests and finishes its own.
//
// Thread-safe. One thread of its own looks after the connection.
class ShardClient {
 public:
  struct Options {
    std::string address;  // host:port of the leader
    ExpectedModel expected;
    absl::Duration probe_interval = absl::Milliseconds(250);
    absl::Duration probe_timeout = absl::Seconds(5);
    absl::Duration min_backoff = absl::Milliseconds(100);
    absl::Duration max_backoff = absl::Seconds(2);
    size_t max_queued_frames = 4096;
  };

  // `on_change` is called, from any thread, after ready() may have changed. It must not destroy the
  // client.
  ShardClient(Options options, std::function<void()> on_change);
  ~ShardClient();  // Stop()
  ShardClient(const ShardClient&) = delete;
  ShardClient& operator=(const ShardClient&) = delete;

  // Closes the connection for good and tells the requests that are left that the group is lost.
  // After it nothing is called any more, and the client may be destroyed by anybody. Not
  // thread-safe with itself, and not to be called by a callback.
  void Stop();

  // Sends a request; request.id is set here. From then on `sink` hears of it until the finish of
  // all its completions (of an index below 0: at once), its loss, or Cancel. Unavailable if the
  // group is not ready; ResourceExhausted if it does not read; InvalidArgument if the request is
  // larger than it takes.
  absl::StatusOr<uint64_t> Submit(internal::SubmitRequest request, std::shared_ptr<ShardSink> sink);

  // Ends a request, or one of its completions; the sink hears nothing more of it (a call that has
  // begun may still end). No effect if there is none of this id.
  void Cancel(uint64_t id, std::optional<int> index = std::nullopt);

  // Stops the steps of a request whose reader is behind, or goes on with them; it keeps its place.
  // What is on its way still comes. No effect if there is none of this id.
  void Pause(uint64_t id, bool paused);

  const std::string& address() const { return options_.address; }
  bool ready() const;
  // Tokens of the requests it has from this router: prompts and what was generated so far.
  int64_t load() const;
  int requests() const;
  // What the group said of itself when it last connected.
  std::optional<internal::EngineInfo> info() const;
  // Why it is not ready; OK when it is.
  absl::Status status() const;

 private:
  struct Request {
    std::shared_ptr<ShardSink> sink;
    int64_t tokens = 0;
    int completions = 1;
    std::set<int> ended = {};  // of them
  };

  // A frame that is larger than the group takes would end the stream of all requests.
  absl::Status CheckSizeLocked(const internal::RouterFrame& frame) const;
  // Completion `index` has ended, all of them if it is below 0; true if none is left: then the
  // request is forgotten.
  bool EndLocked(std::map<uint64_t, Request>::iterator request, int index);
  void Run();
  absl::Status RunSession();
  absl::Status WaitUntilServing(grpc::health::v1::Health::Stub* health);
  // SERVING or not; an error if there is no answer.
  absl::StatusOr<bool> Probe(grpc::health::v1::Health::Stub* health);
  absl::StatusOr<internal::EngineInfo> GetInfo(internal::ShardEngine::Stub* engine);
  absl::Status CheckModel(const internal::EngineInfo& info) const;
  void WatchStream(grpc::health::v1::Health::Stub* health);
  // False if the client is being destroyed.
  bool Sleep(absl::Duration duration);
  template <typename Call>
  absl::Status CallWithTimeout(Call call);
  void SetStatus(absl::Status status);
  // Whether it is new; then it is logged.
  bool SetStatusLocked(absl::Status status);
  void OnFrame(const internal::EngineFrame& frame);
  void OnStreamEnd(absl::Status status);

  const Options options_;
  const std::function<void()> on_change_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  absl::Status status_;  // OK: ready
  std::optional<internal::EngineInfo> info_;
  std::unique_ptr<ShardStream> stream_;  // made and destroyed by the thread; null: none
  bool stream_lost_ = false;             // it takes no requests any more
  bool stream_done_ = false;             // its last callback has nothing more to do
  absl::Status stream_end_;              // why it ended, or will
  grpc::ClientContext* pending_call_ = nullptr;
  uint64_t next_id_ = 1;
  std::map<uint64_t, Request> requests_;
  int64_t load_ = 0;

  std::thread thread_;  // last: uses all of the above
};

}  // namespace facet

#endif  // FACET_ROUTER_SHARD_CLIENT_H_
