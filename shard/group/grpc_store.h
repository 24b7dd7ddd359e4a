#ifndef FACET_SHARD_GROUP_GRPC_STORE_H_
#define FACET_SHARD_GROUP_GRPC_STORE_H_

#include <memory>
#include <string>

#include "grpcpp/grpcpp.h"
#include "proto/facet/internal/shard_group.grpc.pb.h"
#include "shard/collective/key_value_store.h"

namespace facet {

// The leader's store, seen from another rank. Thread-safe.
class GrpcStore final : public KeyValueStore {
 public:
  explicit GrpcStore(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(internal::ShardGroup::NewStub(channel)) {}

  // Unavailable if the leader does not answer within 10 s.
  absl::Status Set(const std::string& key, const std::string& value) override;
  absl::StatusOr<std::string> Get(const std::string& key, absl::Duration timeout) override;

 private:
  const std::unique_ptr<internal::ShardGroup::Stub> stub_;
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_GRPC_STORE_H_
