// Reads the text in an image: ocr receipt.png

#include "base/status_macros.h"
#include "examples/cpp/facet_client.h"

namespace facet::examples {

constexpr char kPrompt[] =
    "Read all the text in this image, from top to bottom. Give only that text, with its line "
    "breaks, in the language in which it is written.";

absl::Status Ocr(FacetClient& client, const std::vector<std::string>& words) {
  // Small print needs the most soft tokens that there are.
  FACET_ASSIGN_OR_RETURN(const v1::ContentPart image, Image(words[0], /*max_soft_tokens=*/1120));
  const v1::ContentPart prompt = Text(words.size() > 1 ? words[1] : kPrompt);
  FACET_RETURN_IF_ERROR(client.Chat(Question({image, prompt}), Show).status());
  Show("\n");
  return absl::OkStatus();
}

}  // namespace facet::examples

int main(int argc, char** argv) {
  return facet::examples::RunExample(argc, argv, "ocr IMAGE [QUESTION]", 1, 2,
                                     facet::examples::Ocr);
}
