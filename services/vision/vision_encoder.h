#ifndef FACET_SERVICES_VISION_VISION_ENCODER_H_
#define FACET_SERVICES_VISION_VISION_ENCODER_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/content_cache.h"
#include "base/dtype.h"
#include "proto/facet/internal/encoder.grpc.pb.h"
#include "proto/facet/internal/encoder.pb.h"
#include "services/encoder/encode_pipeline.h"
#include "services/encoder/encoder_metrics.h"
#include "services/encoder/still_wanted.h"
#include "services/vision/image_pipeline.h"
#include "services/vision/rgb_image.h"
#include "services/vision/vision_tower.h"

namespace facet {

// Images and videos for an EncodePipeline (services/encoder/encode_pipeline.h says what each
// function is for and from which thread). An item is an image or a frame; it costs its patches.
class VisionEncoder {
 public:
  using Service = internal::VisionEncoder;
  using Request = internal::EncodeVisionRequest;
  using Response = internal::EncodeVisionResponse;
  using Item = RgbImage;

  // `row_type`: of the soft tokens, kF32 or kBF16.
  VisionEncoder(std::unique_ptr<VisionTower> tower, const MediaLimits& limits, DType row_type)
      : tower_(std::move(tower)), limits_(limits), row_type_(row_type) {}

  int hidden_size() const { return tower_->config().text_hidden_size; }

  ContentKey Key(const Request& request) const;
  absl::StatusOr<PreparedCall<Item, Response>> Prepare(const Request& request,
                                                       const StillWanted& wanted) const;
  absl::StatusOr<std::vector<internal::SoftTokens>> Run(absl::Span<const Item> images);
  int SoftCount(const Item& image) const;
  static int Parts(const Response& response) { return response.images_size(); }
  static internal::SoftTokens* SoftOf(Response& response, int item);
  static void Count(const Response& response, EncoderMetrics& metrics);

 private:
  const std::unique_ptr<VisionTower> tower_;
  const MediaLimits limits_;
  const DType row_type_;
};

}  // namespace facet

#endif  // FACET_SERVICES_VISION_VISION_ENCODER_H_
