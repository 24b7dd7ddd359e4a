#ifndef FACET_ROUTER_GENERATE_WORK_H_
#define FACET_ROUTER_GENERATE_WORK_H_

#include "absl/status/statusor.h"
#include "google/protobuf/repeated_field.h"
#include "proto/facet/v1/generation.pb.h"
#include "router/call_work.h"
#include "router/media/media_input.h"
#include "router/request_context.h"
#include "router/router_parts.h"

namespace facet {

// Validates a Generate request, tokenizes its prompt, puts its media in (which blocks while they
// are encoded) and fits it to the context; the output gives v1::GenerateResponse. Errors as those
// of RequestValidator, PromptBuilder and MediaPrompts. Thread-safe.
absl::StatusOr<CallWork> PrepareGenerate(const RouterParts& parts, const RequestContext& context,
                                         const v1::GenerateRequest& request);

// The media beside a prompt.
MediaInputs MediaOf(const google::protobuf::RepeatedPtrField<v1::Media>& media);

}  // namespace facet

#endif  // FACET_ROUTER_GENERATE_WORK_H_
