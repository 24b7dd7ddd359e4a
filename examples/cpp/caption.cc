// Describes an image: caption cat.png

#include "base/status_macros.h"
#include "examples/cpp/facet_client.h"

namespace facet::examples {

absl::Status Caption(FacetClient& client, const std::vector<std::string>& words) {
  // The image first, then what to do with it. A caption needs no fine detail.
  FACET_ASSIGN_OR_RETURN(const v1::ContentPart image, Image(words[0], /*max_soft_tokens=*/140));
  const v1::ContentPart prompt =
      Text("Describe this image in detail: what is in it, where, and what happens.");
  FACET_RETURN_IF_ERROR(client.Chat(Question({image, prompt}), Show).status());
  Show("\n");
  return absl::OkStatus();
}

}  // namespace facet::examples

int main(int argc, char** argv) {
  return facet::examples::RunExample(argc, argv, "caption IMAGE", 1, 1, facet::examples::Caption);
}
