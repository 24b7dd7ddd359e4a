#include "examples/cpp/facet_client.h"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "grpcpp/grpcpp.h"

ABSL_FLAG(std::string, router, "127.0.0.1:50051", "The router, host:port.");
ABSL_FLAG(std::optional<int32_t>, max_tokens, std::nullopt, "Most tokens of an answer.");
ABSL_FLAG(std::optional<uint64_t>, seed, std::nullopt, "Equal seeds give equal answers.");
ABSL_FLAG(std::optional<double>, temperature, std::nullopt,
          "0: greedy; unset: what the checkpoint says.");

namespace facet::examples {
namespace {

constexpr int kMaxMessageBytes = 256 << 20;
constexpr std::chrono::minutes kTimeout(10);

absl::StatusOr<v1::ContentPart> FromFile(v1::Media::Kind kind, const std::string& path) {
  v1::ContentPart part;
  v1::Media& media = *part.mutable_media();
  media.set_kind(kind);
  FACET_ASSIGN_OR_RETURN(*media.mutable_data(), ReadFile(path));
  return part;
}

void Add(const v1::ChatDelta& delta, Answer* answer) {
  answer->content += delta.content();
  answer->reasoning += delta.reasoning();
  for (const v1::ToolCallDelta& part : delta.tool_calls()) {
    const auto index = static_cast<size_t>(part.index());
    if (index >= answer->calls.size()) answer->calls.resize(index + 1);
    v1::ToolCall& call = answer->calls[index];
    if (!part.id().empty()) call.set_id(part.id());
    if (!part.name().empty()) call.set_name(part.name());
    call.mutable_arguments()->append(part.arguments());
  }
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  return bytes.str();
}

v1::ContentPart Text(const std::string& text) {
  v1::ContentPart part;
  part.set_text(text);
  return part;
}

absl::StatusOr<v1::ContentPart> Image(const std::string& path, int max_soft_tokens) {
  FACET_ASSIGN_OR_RETURN(v1::ContentPart part, FromFile(v1::Media::IMAGE, path));
  part.mutable_media()->set_max_soft_tokens(max_soft_tokens);
  return part;
}

absl::StatusOr<v1::ContentPart> Audio(const std::string& path) {
  FACET_ASSIGN_OR_RETURN(v1::ContentPart part, FromFile(v1::Media::AUDIO, path));
  part.mutable_media()->set_split_long_audio(true);
  return part;
}

absl::StatusOr<v1::ContentPart> Video(const std::string& path, int max_soft_tokens) {
  FACET_ASSIGN_OR_RETURN(v1::ContentPart part, FromFile(v1::Media::VIDEO, path));
  part.mutable_media()->set_max_soft_tokens(max_soft_tokens);
  return part;
}

v1::ChatRequest Question(std::vector<v1::ContentPart> parts) {
  v1::ChatRequest request;
  v1::ChatMessage& message = *request.add_messages();
  message.set_role(v1::ChatMessage::USER);
  for (v1::ContentPart& part : parts) *message.add_content() = std::move(part);
  const auto max_tokens = absl::GetFlag(FLAGS_max_tokens);
  if (max_tokens) request.mutable_stopping()->set_max_tokens(*max_tokens);
  const auto seed = absl::GetFlag(FLAGS_seed);
  if (seed) request.mutable_sampling()->set_seed(*seed);
  const auto temperature = absl::GetFlag(FLAGS_temperature);
  if (temperature) request.mutable_sampling()->set_temperature(*temperature);
  return request;
}

FacetClient::FacetClient(const std::string& router) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  stub_ = v1::Generation::NewStub(
      grpc::CreateCustomChannel(router, grpc::InsecureChannelCredentials(), arguments));
}

absl::StatusOr<Answer> FacetClient::Chat(const v1::ChatRequest& request,
                                         const std::function<void(const std::string&)>& on_text) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kTimeout);
  const auto reader = stub_->Chat(&context, request);
  Answer answer;
  v1::ChatResponse event;
  while (reader->Read(&event)) {
    if (event.has_start()) {
      answer.media.assign(event.start().media().begin(), event.start().media().end());
    } else if (event.has_delta()) {
      Add(event.delta(), &answer);
      if (on_text && !event.delta().content().empty()) on_text(event.delta().content());
    } else if (event.has_sequence_end()) {
      answer.finish_reason = event.sequence_end().finish_reason();
    }
  }
  const grpc::Status status = reader->Finish();
  if (status.ok()) return answer;
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

void Show(const std::string& piece) {
  std::fwrite(piece.data(), 1, piece.size(), stdout);
  std::fflush(stdout);
}

int RunExample(int argc, char** argv, const std::string& usage, size_t least_words,
               size_t most_words, const Body& body) {
  absl::SetProgramUsageMessage(usage);
  const std::vector<char*> left = absl::ParseCommandLine(argc, argv);
  const std::vector<std::string> words(left.begin() + 1, left.end());
  if (words.size() < least_words || words.size() > most_words) {
    std::fprintf(stderr, "usage: %s\n", usage.c_str());
    return 2;
  }
  FacetClient client(absl::GetFlag(FLAGS_router));
  const absl::Status status = body(client, words);
  if (status.ok()) return 0;
  std::fprintf(stderr, "facet: %s\n",
               status.ToString(absl::StatusToStringMode::kWithNoExtraData).c_str());
  return 1;
}

}  // namespace facet::examples
