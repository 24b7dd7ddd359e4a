#include "shard/group/shard_group_service.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"

namespace facet {
namespace {

constexpr absl::Duration kLongestGet = absl::Minutes(10);

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

}  // namespace

grpc::Status ShardGroupService::Join(grpc::ServerContext* context,
                                     const internal::JoinRequest* request,
                                     internal::JoinResponse* response) {
  RankIdentity rank;
  rank.rank = request->rank();
  rank.world_size = request->world_size();
  rank.fingerprint = request->fingerprint();
  rank.settings = request->settings();
  rank.build = request->build();
  rank.host = request->host();
  FACET_LOG(Info) << "rank " << rank.rank << " of " << rank.world_size << " asks to join from "
                  << context->peer();
  const auto link = registry_->Join(rank, [context] { return context->IsCancelled(); });
  if (!link.ok()) {
    FACET_LOG(Warning) << "rank " << rank.rank << " was not let in: " << link.status();
    return ToGrpc(link.status());
  }
  response->set_collective(link->transport == Transport::kShm ? "shm" : "gloo");
  response->set_shm_segment(link->shm_segment);
  return grpc::Status::OK;
}

grpc::Status ShardGroupService::Set(grpc::ServerContext*, const internal::SetRequest* request,
                                    internal::SetResponse*) {
  return ToGrpc(store_->Set(request->key(), request->value()));
}

grpc::Status ShardGroupService::Get(grpc::ServerContext* context,
                                    const internal::GetRequest* request,
                                    internal::GetResponse* response) {
  const absl::Duration timeout =
      std::clamp(absl::Milliseconds(request->timeout_ms()), absl::ZeroDuration(), kLongestGet);
  auto value = store_->Get(request->key(), timeout, [context] { return context->IsCancelled(); });
  if (!value.ok()) return ToGrpc(value.status());
  response->set_value(*std::move(value));
  return grpc::Status::OK;
}

}  // namespace facet
