#ifndef FACET_SERVICES_AUDIO_SUBSAMPLING_H_
#define FACET_SERVICES_AUDIO_SUBSAMPLING_H_

#include <vector>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "services/audio/audio_weights.h"

namespace facet {

// A map [frames, bands, channels], channels fastest.
struct FrameMap {
  int frames = 0;
  int bands = 0;
  int channels = 0;
  std::vector<float> values;
};

// relu(layer_norm(conv(in))): 3 x 3, stride 2 and a border of one zero in frames and bands; the
// norm over channels, with weight and mean, without bias. [ceil(frames / 2), ceil(bands / 2),
// channels of the weights]. ResourceExhausted without memory.
absl::StatusOr<FrameMap> Subsample(Backend& backend, const FrameMap& in,
                                   const SubsamplingWeights& weights, float eps);

}  // namespace facet

#endif  // FACET_SERVICES_AUDIO_SUBSAMPLING_H_
