#ifndef FACET_SHARD_STEP_PLAN_CODEC_H_
#define FACET_SHARD_STEP_PLAN_CODEC_H_

// StepPlan <-> bytes, for the leader's broadcast to the ranks.
//
// Format, version 3: the bytes 'F' 'P' and the version, then LEB128 numbers (7 bits a byte, low
// ones first). A signed number n is written as (n << 1) ^ (n >> 63). Lists are a count, then the
// differences of neighbours (the first to 0), signed: page ids mostly lie close together. Page
// copies are a count, then source and target of each. Soft tokens are a count, then of each run the
// distance of its first from the end of the run before (or the step's start), how many, a byte for
// the kind (MediaKind) and one for the type (0: f32, 1: bf16), the bytes of the rows and the rows.
//
// Thread-safe: no state.

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "shard/step_plan.h"

namespace facet {

std::vector<uint8_t> EncodeStepPlan(const StepPlan& plan);

// InvalidArgument if the bytes are cut off, go on after the plan, are of another version, or hold
// what no plan may: an unknown kind, no tokens, a negative token or position, logits_from outside
// [0, tokens], a page below -1, a copy of a page below 0, soft tokens outside of the step's
// positions or with rows of unequal sizes, or sequences or copies in a plan that runs nothing.
// Memory stays within a small multiple of the input's size.
absl::StatusOr<StepPlan> DecodeStepPlan(absl::Span<const uint8_t> bytes);

}  // namespace facet

#endif  // FACET_SHARD_STEP_PLAN_CODEC_H_
