#include "services/vision/vision_encoder.h"

#include <string>

#include "absl/base/casts.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "model/media/image_size.h"
#include "services/encoder/soft_rows.h"

namespace facet {

ContentKey VisionEncoder::Key(const Request& request) const {
  // A budget that there is not fails later, and nothing is kept.
  const int budget = ImageBudgetOf(request, tower_->config()).value_or(0);
  std::string settings = absl::StrCat(request.input_case(), " ", budget);
  std::vector<absl::string_view> pieces = {request.image(), request.video()};
  for (const std::string& image : request.frames().images()) pieces.push_back(image);
  for (const double timestamp : request.frames().timestamp_seconds()) {
    absl::StrAppend(&settings, " ", absl::Hex(absl::bit_cast<uint64_t>(timestamp)));
  }
  return MakeContentKey(settings, pieces);
}

absl::StatusOr<PreparedCall<RgbImage, VisionEncoder::Response>> VisionEncoder::Prepare(
    const Request& request, const StillWanted& wanted) const {
  FACET_ASSIGN_OR_RETURN(PreparedMedia media,
                         PrepareMedia(request, tower_->config(), limits_, wanted));
  PreparedCall<RgbImage, Response> call;
  call.response.set_seconds(media.seconds);
  for (size_t i = 0; i < media.images.size(); ++i) {
    call.items.push_back({std::move(media.images[i].image), media.images[i].patches});
    call.response.add_images()->set_timestamp_seconds(media.timestamp_seconds[i]);
  }
  return call;
}

absl::StatusOr<std::vector<internal::SoftTokens>> VisionEncoder::Run(
    absl::Span<const RgbImage> images) {
  FACET_ASSIGN_OR_RETURN(const std::vector<SoftImage> encoded, tower_->Encode(images));
  std::vector<internal::SoftTokens> soft;
  for (const SoftImage& image : encoded) soft.push_back(ToWire(image.soft, image.count, row_type_));
  return soft;
}

int VisionEncoder::SoftCount(const RgbImage& image) const {
  return SoftTokensOf({image.height, image.width}, tower_->config().patches);
}

internal::SoftTokens* VisionEncoder::SoftOf(Response& response, int item) {
  return response.mutable_images(item)->mutable_soft();
}

void VisionEncoder::Count(const Response& response, EncoderMetrics& metrics) {
  metrics.images.Increment(response.images_size());
}

}  // namespace facet
