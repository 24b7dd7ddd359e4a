#ifndef FACET_SERVICES_AUDIO_RESAMPLE_H_
#define FACET_SERVICES_AUDIO_RESAMPLE_H_

#include <vector>

#include "absl/status/statusor.h"

namespace facet {

// Mono samples at `from` Hz as samples at `to` Hz: band-limited, linear phase, the same length in
// time. The samples themselves if the rates are equal. Internal if the resampler fails.
// Thread-safe.
absl::StatusOr<std::vector<float>> Resample(std::vector<float> samples, int from, int to);

}  // namespace facet

#endif  // FACET_SERVICES_AUDIO_RESAMPLE_H_
