#ifndef FACET_SERVICES_SHARD_ENGINE_SERVICE_H_
#define FACET_SERVICES_SHARD_ENGINE_SERVICE_H_

#include <mutex>

#include "proto/facet/internal/shard_engine.grpc.pb.h"
#include "shard/group/leader_engine.h"

namespace facet {

// facet.internal.ShardEngine over a LeaderEngine: frames to plain calls and back, no decision.
//
// Registered before the model has loaded: until Open(), every call gets UNAVAILABLE. A stream that
// breaks cancels its requests. Thread-safe.
class EngineService final : public internal::ShardEngine::CallbackService {
 public:
  // From now on calls reach `engine`, which must outlive the server's calls.
  void Open(LeaderEngine* engine, internal::EngineInfo info);

  grpc::ServerBidiReactor<internal::RouterFrame, internal::EngineFrame>* Connect(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* GetInfo(grpc::CallbackServerContext* context,
                                    const internal::GetInfoRequest* request,
                                    internal::EngineInfo* response) override;

 private:
  std::mutex mutex_;
  LeaderEngine* engine_ = nullptr;
  internal::EngineInfo info_;
};

}  // namespace facet

#endif  // FACET_SERVICES_SHARD_ENGINE_SERVICE_H_
