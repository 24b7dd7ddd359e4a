// Answers a question about a video: video_question clip.mp4 "When does the door open?"

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "examples/cpp/facet_client.h"

namespace facet::examples {

absl::Status VideoQuestion(FacetClient& client, const std::vector<std::string>& words) {
  FACET_ASSIGN_OR_RETURN(const v1::ContentPart video, Video(words[0]));
  const v1::ContentPart question =
      Text(words.size() > 1 ? words[1] : "Describe what happens in this video, in order.");
  FACET_ASSIGN_OR_RETURN(const Answer answer, client.Chat(Question({video, question}), Show));
  const v1::MediaUsage& seen = answer.media.at(0);
  Show(absl::StrFormat("\n(%d frames of %.1f s, %d soft tokens)\n", seen.parts(), seen.seconds(),
                       seen.soft_tokens()));
  return absl::OkStatus();
}

}  // namespace facet::examples

int main(int argc, char** argv) {
  return facet::examples::RunExample(argc, argv, "video_question VIDEO [QUESTION]", 1, 2,
                                     facet::examples::VideoQuestion);
}
