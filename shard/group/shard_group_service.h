#ifndef FACET_SHARD_GROUP_SHARD_GROUP_SERVICE_H_
#define FACET_SHARD_GROUP_SHARD_GROUP_SERVICE_H_

#include "grpcpp/grpcpp.h"
#include "proto/facet/internal/shard_group.grpc.pb.h"
#include "shard/group/join_registry.h"
#include "shard/group/leader_store.h"

namespace facet {

// ShardGroup on the wire: the leader's registry and store. Borrows both. Thread-safe.
class ShardGroupService final : public internal::ShardGroup::Service {
 public:
  ShardGroupService(JoinRegistry* registry, LeaderStore* store)
      : registry_(registry), store_(store) {}

  grpc::Status Join(grpc::ServerContext* context, const internal::JoinRequest* request,
                    internal::JoinResponse* response) override;
  grpc::Status Set(grpc::ServerContext* context, const internal::SetRequest* request,
                   internal::SetResponse* response) override;
  grpc::Status Get(grpc::ServerContext* context, const internal::GetRequest* request,
                   internal::GetResponse* response) override;

 private:
  JoinRegistry* const registry_;
  LeaderStore* const store_;
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_SHARD_GROUP_SERVICE_H_
