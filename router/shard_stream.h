#ifndef FACET_ROUTER_SHARD_STREAM_H_
#define FACET_ROUTER_SHARD_STREAM_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "grpcpp/grpcpp.h"
#include "proto/facet/internal/shard_engine.grpc.pb.h"

namespace facet {

// One ShardEngine.Connect call from its begin to its end: frames out through a bounded queue,
// frames in through a callback.
//
// Thread-safe. The callbacks run on gRPC's threads, one at a time; they must not block.
//
// Lifetime: must not be destroyed before on_end has been called, and never by a callback: with the
// stream may go the last reference to its channel, which then ends gRPC's callback threads and
// waits for them. (gRPC 1.51 crashes if one of them does that.)
class ShardStream : public grpc::ClientBidiReactor<internal::RouterFrame, internal::EngineFrame> {
 public:
  struct Callbacks {
    std::function<void(const internal::EngineFrame&)> on_frame;
    // The last one: the stream has ended, by either side.
    std::function<void(absl::Status)> on_end;
  };

  // Begins the call; an engine that cannot be reached shows in on_end. `stub` must outlive the
  // stream.
  static std::unique_ptr<ShardStream> Open(internal::ShardEngine::Stub* stub, size_t max_queue,
                                           Callbacks callbacks);

  // Queues a frame. Unavailable when the stream has ended, ResourceExhausted when more than
  // `max_queue` frames wait (the engine does not read).
  absl::Status Send(internal::RouterFrame frame);

  // Ends the call at once: on_end follows soon. Any number of times.
  void Cancel() { context_.TryCancel(); }

 private:
  ShardStream(size_t max_queue, Callbacks callbacks)
      : max_queue_(max_queue), callbacks_(std::move(callbacks)) {}

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;
  void Ended();
  void WriteNextLocked();

  const size_t max_queue_;
  Callbacks callbacks_;
  grpc::ClientContext context_;
  internal::EngineFrame incoming_;

  std::mutex mutex_;
  std::deque<internal::RouterFrame> queue_;  // the first one is being written while writing_
  bool writing_ = false;
  bool ended_ = false;  // no write may start any more
};

}  // namespace facet

#endif  // FACET_ROUTER_SHARD_STREAM_H_
