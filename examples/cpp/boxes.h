#ifndef FACET_EXAMPLES_CPP_BOXES_H_
#define FACET_EXAMPLES_CPP_BOXES_H_

// Boxes in an answer. Gemma writes them as JSON, often in a fenced block, with the corners in
// thousandths of the image's sides and y first:
//   [{"box_2d": [y_min, x_min, y_max, x_max], "label": "cat"}]

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace facet::examples {

struct PixelBox {
  int left = 0, top = 0, right = 0, bottom = 0;
};

struct Box {
  std::string label;
  double y_min = 0, x_min = 0, y_max = 0, x_max = 0;  // 0 to 1000

  // In an image of this size.
  PixelBox Pixels(int width, int height) const;
};

// The JSON schema of a list of boxes, as JSON text. `labels`: the only ones; empty: any text.
std::string BoxSchema(const std::vector<std::string>& labels, int least, int most);

// All sound boxes of an answer: fenced or not, with prose around them, and those before the place
// where an answer was cut off. Corners outside of the image are moved to its edge; a box without
// area is none.
std::vector<Box> ParseBoxes(absl::string_view answer);

}  // namespace facet::examples

#endif  // FACET_EXAMPLES_CPP_BOXES_H_
