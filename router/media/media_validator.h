#ifndef FACET_ROUTER_MEDIA_MEDIA_VALIDATOR_H_
#define FACET_ROUTER_MEDIA_MEDIA_VALIDATOR_H_

#include <cstdint>

#include "absl/status/status.h"
#include "router/media/media_input.h"
#include "router/served_model.h"

namespace facet {

// Everything that can be said of a request's media before they are decoded, and before the prompt
// is known.
//   InvalidArgument    names the field, its value and what is allowed; or the model, and the media
//                      that it takes
//   FailedPrecondition a video file for a model without a tokenizer: its frames' times are text
absl::Status ValidateMedia(const ServedModel& model, int64_t max_media_bytes,
                           const MediaInputs& inputs);

// One of the budgets of soft tokens.
bool IsImageBudget(int max_soft_tokens);

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_MEDIA_VALIDATOR_H_
