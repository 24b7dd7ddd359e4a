#ifndef FACET_MODEL_MEDIA_IMAGE_SIZE_H_
#define FACET_MODEL_MEDIA_IMAGE_SIZE_H_

// To which size an image is brought, and how many soft tokens it gives. The rule is the reference's
// (Hugging Face transformers, gemma4 image processor): the aspect ratio is kept up to the rounding
// to whole blocks of patches; small images are enlarged.

#include <array>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace facet {

// Pixels.
struct ImageSize {
  int height = 0;
  int width = 0;

  bool operator==(const ImageSize& other) const {
    return height == other.height && width == other.width;
  }
};

// A soft token is the mean of `pooling` x `pooling` patches of `patch` x `patch` pixels.
struct PatchLayout {
  int patch = 16;
  int pooling = 3;

  int block() const { return patch * pooling; }  // pixels of a soft token's side
};

// What callers may ask for: the most soft tokens of one image.
inline constexpr std::array<int, 5> kImageBudgets = {70, 140, 280, 560, 1120};

// InvalidArgument names the budgets there are.
absl::Status CheckImageBudget(int max_soft_tokens);

// The size that an image of `source` (both sides >= 1) is resized to: multiples of layout.block(),
// of at most `max_soft_tokens` >= 1 blocks together. InvalidArgument on other numbers.
absl::StatusOr<ImageSize> ResizedSize(const ImageSize& source, int max_soft_tokens,
                                      const PatchLayout& layout);

// Soft tokens of an image of such a size.
int SoftTokensOf(const ImageSize& resized, const PatchLayout& layout);

}  // namespace facet

#endif  // FACET_MODEL_MEDIA_IMAGE_SIZE_H_
