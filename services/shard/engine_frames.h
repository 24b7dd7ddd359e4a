#ifndef FACET_SERVICES_SHARD_ENGINE_FRAMES_H_
#define FACET_SERVICES_SHARD_ENGINE_FRAMES_H_

#include <vector>

#include "proto/facet/internal/shard_engine.pb.h"
#include "shard/group/leader_engine.h"

namespace facet {

// What a router asks for, as the engine takes it. Checks nothing: the engine does.
EngineRequest ToEngineRequest(const internal::SubmitRequest& submit);

// One message for all outputs of a step.
internal::EngineFrame ToEngineFrame(const std::vector<EngineOutput>& outputs);

}  // namespace facet

#endif  // FACET_SERVICES_SHARD_ENGINE_FRAMES_H_
