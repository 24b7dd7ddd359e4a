// Finds things in an image and says where they are: detect street.png car bicycle

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "examples/cpp/box_report.h"

ABSL_FLAG(int, least, 0, "Boxes, at least; 1: point to something in any case.");
ABSL_FLAG(int, most, 50, "Boxes, at most.");

namespace facet::examples {

absl::Status Detect(FacetClient& client, const std::vector<std::string>& words) {
  const std::vector<std::string> labels(words.begin() + 1, words.end());
  const std::string prompt = absl::StrCat(
      "Find each of these in the image: ", absl::StrJoin(labels, ", "),
      ". Give a JSON list with one entry for each that you see: box_2d, its box as [y_min, x_min, "
      "y_max, x_max] in thousandths of the image's sides, and label.");
  return FindBoxes(client, words[0], /*max_soft_tokens=*/560, prompt,
                   BoxSchema(labels, absl::GetFlag(FLAGS_least), absl::GetFlag(FLAGS_most)))
      .status();
}

}  // namespace facet::examples

int main(int argc, char** argv) {
  return facet::examples::RunExample(argc, argv, "detect IMAGE LABEL...", 2, 100,
                                     facet::examples::Detect);
}
