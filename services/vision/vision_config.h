#ifndef FACET_SERVICES_VISION_VISION_CONFIG_H_
#define FACET_SERVICES_VISION_VISION_CONFIG_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/media/image_size.h"

namespace facet {

// The vision part of a checkpoint's config.json, and what its processor's files say of sizes;
// validated.
struct VisionConfig {
  int hidden_size = 0;
  int intermediate_size = 0;
  int num_layers = 0;
  int num_heads = 0;
  int num_kv_heads = 0;  // divides num_heads
  int head_dim = 0;      // a multiple of 4
  PatchLayout patches;
  int position_table_size = 0;  // columns, and rows, that have an embedding
  double rope_theta = 100;
  double rms_norm_eps = 1e-6;
  bool clipped_linears = false;
  bool standardize = false;
  int text_hidden_size = 0;  // width of a soft token
  // Where a request does not say: soft tokens of an image and of a frame, frames of a video.
  int default_image_budget = 280;
  int default_frame_budget = 70;
  int video_frames = 32;
};

// InvalidArgument names the key, its value and what is allowed (an image model without heads, say);
// FailedPrecondition if there is no vision_config: the model takes no images.
absl::StatusOr<VisionConfig> ParseVisionConfig(absl::string_view json);

// Reads `model_dir`/config.json, and processor_config.json or the two files that it replaced
// (preprocessor_config.json, video_preprocessor_config.json), whose numbers win: the reference
// reads them alone.
absl::StatusOr<VisionConfig> LoadVisionConfig(const std::string& model_dir);

}  // namespace facet

#endif  // FACET_SERVICES_VISION_VISION_CONFIG_H_
