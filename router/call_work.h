#ifndef FACET_ROUTER_CALL_WORK_H_
#define FACET_ROUTER_CALL_WORK_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "proto/facet/internal/shard_engine.pb.h"
#include "router/call_output.h"
#include "router/generation_spec.h"

namespace facet {

// What a valid request comes down to: what a shard group is asked, and what becomes of its answer.
struct CallWork {
  // Without the names of the request, its id and its deadline: GenerationCall knows them.
  internal::SubmitRequest submit;
  std::unique_ptr<CallOutput> output;
};

// The request to a shard group for this prompt.
internal::SubmitRequest MakeSubmit(const GenerationSpec& spec, const std::vector<int32_t>& prompt);

}  // namespace facet

#endif  // FACET_ROUTER_CALL_WORK_H_
