#ifndef FACET_SERVICES_SHARD_SHARD_SERVICE_H_
#define FACET_SERVICES_SHARD_SHARD_SERVICE_H_

#include <mutex>

#include "grpcpp/grpcpp.h"
#include "proto/facet/internal/shard_engine.grpc.pb.h"
#include "shard/group/leader_engine.h"

namespace facet {

// ShardEngine on the wire. While the group loads there is no engine: calls are UNAVAILABLE.
//
// A stream of Connect is one connection of the engine: frames of the router are submissions,
// cancellations and pauses, and after every step one message carries what the engine has for this
// router (or for several steps at once, where the router reads more slowly than the engine steps).
// The stream ends
//   OK                 when the router has closed its side and its requests have ended
//   UNAVAILABLE        the group drains and the router's requests have ended; or the group was
//                      lost, after every request has got its finish
//   INVALID_ARGUMENT   a frame that says nothing or unknown things, or an id that is in use
//   RESOURCE_EXHAUSTED the router does not read
// A stream that breaks, or is cancelled, cancels its requests.
//
// Thread-safe. No thread of its own: messages are written from the engine's threads, beside the
// step that runs, without waiting.
class ShardEngineService final : public internal::ShardEngine::CallbackService {
 public:
  // From now on calls are served. `engine` must outlive every call.
  void SetEngine(LeaderEngine* engine, internal::EngineInfo info);

  grpc::ServerBidiReactor<internal::RouterFrame, internal::EngineFrame>* Connect(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* GetInfo(grpc::CallbackServerContext* context,
                                    const internal::GetInfoRequest* request,
                                    internal::EngineInfo* response) override;

 private:
  LeaderEngine* engine() const;

  mutable std::mutex mutex_;
  LeaderEngine* engine_ = nullptr;
  internal::EngineInfo info_;
};

}  // namespace facet

#endif  // FACET_SERVICES_SHARD_SHARD_SERVICE_H_
