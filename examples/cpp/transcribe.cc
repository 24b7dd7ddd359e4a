// Writes down what is said, or translates it: transcribe talk.wav --language=German
// --translate_to=English

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "examples/cpp/facet_client.h"

ABSL_FLAG(std::string, language, "its original language", "The language that is spoken.");
ABSL_FLAG(std::string, translate_to, "", "A language; empty: no translation.");

namespace facet::examples {

std::string Prompt(const std::string& language, const std::string& target) {
  if (target.empty()) {
    return absl::StrCat(
        "Write down the following speech in ", language,
        ". Give nothing but the transcription, without line breaks. Write numbers in digits: 3 and "
        "not three, 1.7 and not one point seven.");
  }
  return absl::StrCat("Write down the following speech in ", language, ", then translate it into ",
                      target, ": first the transcription, then a line break, then '", target,
                      ": ' and the translation.");
}

absl::Status Transcribe(FacetClient& client, const std::vector<std::string>& words) {
  FACET_ASSIGN_OR_RETURN(const v1::ContentPart audio, Audio(words[0]));
  // Of sound the instruction comes first.
  const v1::ContentPart prompt =
      Text(Prompt(absl::GetFlag(FLAGS_language), absl::GetFlag(FLAGS_translate_to)));
  FACET_RETURN_IF_ERROR(client.Chat(Question({prompt, audio}), Show).status());
  Show("\n");
  return absl::OkStatus();
}

}  // namespace facet::examples

int main(int argc, char** argv) {
  return facet::examples::RunExample(argc, argv, "transcribe AUDIO", 1, 1,
                                     facet::examples::Transcribe);
}
