// Finds the place of an element in a screenshot: gui_elements screen.png "the button that saves"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "examples/cpp/box_report.h"

namespace facet::examples {

absl::Status GuiElements(FacetClient& client, const std::vector<std::string>& words) {
  const bool one = words.size() > 1;
  const std::string what =
      one ? absl::StrCat("Where is ", words[1], "? Give a JSON list with one entry:")
          : "List all that can be clicked or typed into as a JSON list, with an entry for each:";
  const std::string prompt = absl::StrCat(
      "This is a screenshot. ", what,
      " box_2d, its box as [y_min, x_min, y_max, x_max] in thousandths of the image's sides, and "
      "label, the text on it or what it does.");
  FACET_ASSIGN_OR_RETURN(const std::vector<Box> boxes,
                         FindBoxes(client, words[0], /*max_soft_tokens=*/1120, prompt,
                                   BoxSchema({}, /*least=*/one ? 1 : 0, /*most=*/one ? 1 : 50)));
  if (one && !boxes.empty()) {
    Show(absl::StrFormat("click at (%.1f%%, %.1f%%) of the sides\n",
                         (boxes[0].x_min + boxes[0].x_max) / 20,
                         (boxes[0].y_min + boxes[0].y_max) / 20));
  }
  return absl::OkStatus();
}

}  // namespace facet::examples

int main(int argc, char** argv) {
  return facet::examples::RunExample(argc, argv, "gui_elements SCREENSHOT [ELEMENT]", 1, 2,
                                     facet::examples::GuiElements);
}
