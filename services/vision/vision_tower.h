#ifndef FACET_SERVICES_VISION_VISION_TOWER_H_
#define FACET_SERVICES_VISION_VISION_TOWER_H_

// The vision network: pixels to soft tokens (formulas: the model document, "Vision tower").

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/backend.h"
#include "model/checkpoint.h"
#include "services/vision/rgb_image.h"
#include "services/vision/vision_config.h"
#include "shard/transformer/rank_options.h"

namespace facet {

// What an image becomes.
struct SoftImage {
  int count = 0;              // soft tokens
  std::vector<float> pooled;  // [count, tower hidden size]: before the projection
  std::vector<float> soft;    // [count, text hidden size]
};

// Thread-compatible: one batch at a time. The backend must outlive it.
class VisionTower {
 public:
  // Errors as VisionWeights::Load.
  static absl::StatusOr<std::unique_ptr<VisionTower>> Load(const VisionConfig& config,
                                                           const Checkpoint& checkpoint,
                                                           ComputeMode mode, Backend* backend);
  ~VisionTower();

  // Images of any sizes, each already resized (both sides multiples of patches.block()). An image's
  // result does not depend on the others of its batch. InvalidArgument if an image has another
  // size, or more patches along a side than there are position embeddings.
  absl::StatusOr<std::vector<SoftImage>> Encode(absl::Span<const RgbImage> images);

  const VisionConfig& config() const;

 private:
  struct Impl;
  explicit VisionTower(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace facet

#endif  // FACET_SERVICES_VISION_VISION_TOWER_H_
