#ifndef FACET_SERVICES_ENCODER_STILL_WANTED_H_
#define FACET_SERVICES_ENCODER_STILL_WANTED_H_

#include <functional>

#include "absl/status/status.h"

namespace facet {

// Asked between two pieces of work: not OK, with the reason, once nobody wants the result any more
// (the caller has left, its deadline has passed). Thread-safe.
using StillWanted = std::function<absl::Status()>;

}  // namespace facet

#endif  // FACET_SERVICES_ENCODER_STILL_WANTED_H_
