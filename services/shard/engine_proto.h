#ifndef FACET_SERVICES_SHARD_ENGINE_PROTO_H_
#define FACET_SERVICES_SHARD_ENGINE_PROTO_H_

// Messages of ShardEngine <-> what the engine speaks. No decisions, no limits: the engine checks.

#include "absl/status/statusor.h"
#include "proto/facet/internal/shard_engine.pb.h"
#include "shard/group/engine_connection.h"
#include "shard/group/leader_engine.h"

namespace facet {

// InvalidArgument, which names field and value, if media are of a kind or type that there is not:
// no router of this version sends such.
absl::StatusOr<EngineRequest> FromProto(internal::SubmitRequest request);

internal::SequenceOutput ToProto(const EngineOutput& output);

}  // namespace facet

#endif  // FACET_SERVICES_SHARD_ENGINE_PROTO_H_
