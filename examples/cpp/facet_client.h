#ifndef FACET_EXAMPLES_CPP_FACET_CLIENT_H_
#define FACET_EXAMPLES_CPP_FACET_CLIENT_H_

// A small client of Facet's Chat call, for the examples beside it.
//
//   FacetClient client("127.0.0.1:50051");
//   FACET_ASSIGN_OR_RETURN(v1::ContentPart picture, Image("cat.png"));
//   FACET_ASSIGN_OR_RETURN(Answer answer,
//                          client.Chat(Question({picture, Text("What is this?")})));

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/facet/v1/generation.grpc.pb.h"

namespace facet::examples {

v1::ContentPart Text(const std::string& text);

// Parts from files. `max_soft_tokens`: of an image, or of each frame of a video: 70, 140, 280, 560
// or 1120; more show more detail and cost as many tokens; 0: the default. Audio that is longer than
// the model takes at once is split. NotFound if the file cannot be read.
absl::StatusOr<v1::ContentPart> Image(const std::string& path, int max_soft_tokens = 0);
absl::StatusOr<v1::ContentPart> Audio(const std::string& path);
absl::StatusOr<v1::ContentPart> Video(const std::string& path, int max_soft_tokens = 0);

absl::StatusOr<std::string> ReadFile(const std::string& path);

// One message of the user, and the flags --max_tokens, --seed and --temperature.
v1::ChatRequest Question(std::vector<v1::ContentPart> parts);

struct Answer {
  std::string content;
  std::string reasoning;
  std::vector<v1::ToolCall> calls;
  std::vector<v1::MediaUsage> media;
  v1::FinishReason finish_reason = v1::FINISH_REASON_UNSPECIFIED;
};

// Thread-safe.
class FacetClient {
 public:
  explicit FacetClient(const std::string& router);  // host:port

  // The whole answer. `on_text` gets its content piece by piece, as it comes; may be null. Errors
  // are the router's.
  absl::StatusOr<Answer> Chat(const v1::ChatRequest& request,
                              const std::function<void(const std::string&)>& on_text = nullptr);

 private:
  std::unique_ptr<v1::Generation::Stub> stub_;
};

// Writes to stdout at once.
void Show(const std::string& piece);

// main() of an example: parses flags, checks that the words besides them are as many as they should
// be (else prints `usage`; status 2), and runs `body` with a client of --router. An error is one
// line on stderr, and status 1.
using Body =
    std::function<absl::Status(FacetClient& client, const std::vector<std::string>& words)>;
int RunExample(int argc, char** argv, const std::string& usage, size_t least_words,
               size_t most_words, const Body& body);

}  // namespace facet::examples

#endif  // FACET_EXAMPLES_CPP_FACET_CLIENT_H_
