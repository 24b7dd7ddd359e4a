#include "examples/cpp/box_report.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "services/vision/image_decoder.h"

namespace facet::examples {

absl::StatusOr<std::vector<Box>> FindBoxes(FacetClient& client, const std::string& image_path,
                                           int max_soft_tokens, const std::string& prompt,
                                           const std::string& schema) {
  FACET_ASSIGN_OR_RETURN(const v1::ContentPart image, Image(image_path, max_soft_tokens));
  v1::ChatRequest request = Question({image, Text(prompt)});
  request.mutable_response_format()->set_json_schema(schema);
  FACET_ASSIGN_OR_RETURN(const Answer answer, client.Chat(request));
  const std::vector<Box> boxes = ParseBoxes(answer.content);
  // The corners are relative to the image as it was sent, upright.
  const std::string& bytes = image.media().data();
  FACET_ASSIGN_OR_RETURN(
      const RgbImage picture,
      DecodeImage({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, ImageLimits()));
  for (const Box& box : boxes) {
    const PixelBox at = box.Pixels(picture.width, picture.height);
    Show(absl::StrCat(box.label, ": left ", at.left, ", top ", at.top, ", right ", at.right,
                      ", bottom ", at.bottom, "\n"));
  }
  Show(absl::StrCat(boxes.size(), " found\n"));
  return boxes;
}

}  // namespace facet::examples
