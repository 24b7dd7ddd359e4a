#include "model/media/image_size.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace facet {

absl::Status CheckImageBudget(int max_soft_tokens) {
  if (std::find(kImageBudgets.begin(), kImageBudgets.end(), max_soft_tokens) !=
      kImageBudgets.end()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "max_soft_tokens is ", max_soft_tokens, "; allowed: ", absl::StrJoin(kImageBudgets, ", ")));
}

absl::StatusOr<ImageSize> ResizedSize(const ImageSize& source, int max_soft_tokens,
                                      const PatchLayout& layout) {
  if (source.height < 1 || source.width < 1 || max_soft_tokens < 1) {
    return absl::InvalidArgumentError(absl::StrCat("an image of ", source.width, " x ",
                                                   source.height, " pixels for at most ",
                                                   max_soft_tokens, " soft tokens"));
  }
  const int block = layout.block();
  const double budget_pixels = static_cast<double>(max_soft_tokens) * block * block;
  const double factor =
      std::sqrt(budget_pixels / (static_cast<double>(source.height) * source.width));
  ImageSize size;
  size.height = static_cast<int>(std::floor(factor * source.height / block)) * block;
  size.width = static_cast<int>(std::floor(factor * source.width / block)) * block;
  // A banner or a needle: one block high or wide, and no longer than the budget.
  const int longest = max_soft_tokens * block;
  if (size.height == 0) {
    size.height = block;
    size.width =
        static_cast<int>(std::min<int64_t>(int64_t{source.width / source.height} * block, longest));
  } else if (size.width == 0) {
    size.width = block;
    size.height =
        static_cast<int>(std::min<int64_t>(int64_t{source.height / source.width} * block, longest));
  }
  return size;
}

int SoftTokensOf(const ImageSize& resized, const PatchLayout& layout) {
  return (resized.height / layout.block()) * (resized.width / layout.block());
}

}  // namespace facet
