#include "services/client/chat_command.h"

#include <cstdio>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "proto/facet/v1/generation.grpc.pb.h"
#include "services/client/chat_request.h"
#include "services/client/command.h"
#include "services/client/media_files.h"
#include "services/client/media_report.h"

namespace facet {
namespace {

constexpr char kChatUsage[] = "chat [flags] (MESSAGE | --messages FILE)";
constexpr char kRenderUsage[] = "render [flags] (MESSAGE | --messages FILE)";

// What both commands take: the conversation.
struct Arguments {
  Connection connection;
  std::optional<std::string> model;
  std::optional<std::string> messages;
  std::optional<std::string> system;
  std::optional<std::string> tools;
  MediaFiles media;
  bool thinking = false;
  // chat only
  std::optional<std::string> tool_choice;
  std::optional<int32_t> max_tokens;
  std::optional<int32_t> max_reasoning_tokens;
  std::optional<double> temperature;
  std::optional<uint64_t> seed;
  std::optional<int32_t> n;
  std::vector<std::string> stop;
  bool json = false;
};

void AddConversationFlags(Arguments* a, FlagSet* flags) {
  a->connection.AddFlags(flags);
  flags->Text("model", "NAME", "the model (default: the only one)", &a->model);
  flags->Text("messages", "FILE",
              "messages as OpenAI writes them, as JSON: a list, or an object with messages and "
              "tools; - is the standard input",
              &a->messages);
  flags->Text("system", "TEXT", "what the model is told first", &a->system);
  flags->Text("tools", "FILE", "tools as OpenAI writes them, a JSON list", &a->tools);
  a->media.AddFlags(flags);
  flags->Switch("thinking", "the model may think before it answers", &a->thinking);
}

FlagSet RenderFlags(Arguments* a) {
  FlagSet flags;
  AddConversationFlags(a, &flags);
  return flags;
}

FlagSet ChatFlags(Arguments* a) {
  FlagSet flags = RenderFlags(a);
  flags.Text("tool-choice", "CHOICE", "auto, none, required, or the name of a tool",
             &a->tool_choice);
  flags.Int("max-tokens", "N", "generate at most N tokens (default: what the context has room for)",
            &a->max_tokens);
  flags.Int("max-reasoning-tokens", "N", "close a thought of N tokens", &a->max_reasoning_tokens);
  flags.Number("temperature", "T", "0: greedy (default: the checkpoint's)", &a->temperature);
  flags.Uint64("seed", "N", "equal seeds give equal answers", &a->seed);
  flags.Int("n", "N", "answers, 1 to 16 (default 1)", &a->n);
  flags.TextList("stop", "TEXT", "stop before this text", &a->stop);
  flags.Switch("json", "print one JSON object at the end", &a->json);
  return flags;
}

absl::Status Check(const Arguments& a, const std::vector<std::string>& positional) {
  if (positional.size() + a.messages.has_value() != 1) {
    return absl::InvalidArgumentError("give either a message or --messages");
  }
  if (a.messages.has_value() && !a.media.empty()) {
    return absl::InvalidArgumentError("files of media go with a message, not with --messages");
  }
  if (a.messages.has_value() && a.system.has_value()) {
    return absl::InvalidArgumentError("--system goes with a message, not with --messages");
  }
  return a.connection.Validate();
}

void AddMessage(v1::ChatMessage::Role role, const std::string& text, v1::ChatRequest* request) {
  v1::ChatMessage* message = request->add_messages();
  message->set_role(role);
  message->add_content()->set_text(text);
}

// Images and video stand before the text and audio behind it, as Google advises.
absl::Status AddUserMessage(const MediaFiles& files, const std::string& text,
                            v1::ChatRequest* request) {
  google::protobuf::RepeatedPtrField<v1::Media> media;
  FACET_RETURN_IF_ERROR(files.Read(&media));
  v1::ChatMessage* const message = request->add_messages();
  message->set_role(v1::ChatMessage::USER);
  bool has_text = false;
  for (v1::Media& medium : media) {
    if (medium.kind() == v1::Media::AUDIO && !std::exchange(has_text, true)) {
      message->add_content()->set_text(text);
    }
    *message->add_content()->mutable_media() = std::move(medium);
  }
  if (!has_text) message->add_content()->set_text(text);
  return absl::OkStatus();
}

void SetToolChoice(const std::string& choice, v1::ToolChoice* out) {
  if (choice == "auto") return out->set_mode(v1::ToolChoice::AUTO);
  if (choice == "none") return out->set_mode(v1::ToolChoice::NONE);
  if (choice == "required") return out->set_mode(v1::ToolChoice::REQUIRED);
  out->set_mode(v1::ToolChoice::NAMED);
  out->set_name(choice);
}

absl::StatusOr<v1::ChatRequest> MakeRequest(const Arguments& a,
                                            const std::vector<std::string>& positional) {
  v1::ChatRequest request;
  request.set_model(a.model.value_or(""));
  request.set_enable_thinking(a.thinking);
  std::string file;
  if (a.messages) {
    FACET_RETURN_IF_ERROR(ReadFile(*a.messages, &file));
    FACET_RETURN_IF_ERROR(AddMessages(file, &request));
  } else {
    if (a.system) AddMessage(v1::ChatMessage::SYSTEM, *a.system, &request);
    FACET_RETURN_IF_ERROR(AddUserMessage(a.media, positional.front(), &request));
  }
  if (a.tools) {
    FACET_RETURN_IF_ERROR(ReadFile(*a.tools, &file));
    FACET_RETURN_IF_ERROR(AddTools(file, &request));
  }
  if (a.tool_choice) SetToolChoice(*a.tool_choice, request.mutable_tool_choice());
  if (a.max_tokens) request.mutable_stopping()->set_max_tokens(*a.max_tokens);
  if (a.max_reasoning_tokens) request.set_max_reasoning_tokens(*a.max_reasoning_tokens);
  if (a.temperature) request.mutable_sampling()->set_temperature(*a.temperature);
  if (a.seed) request.mutable_sampling()->set_seed(*a.seed);
  if (a.n) request.set_n(*a.n);
  for (const std::string& stop : a.stop) request.mutable_stopping()->add_stop(stop);
  return request;
}

// What the deltas of one completion add up to.
struct Completion {
  std::string reasoning, content;
  std::map<int, v1::ToolCallDelta> calls;
  v1::ChatSequenceEnd end;

  void Add(const v1::ChatDelta& delta);
};

void Completion::Add(const v1::ChatDelta& delta) {
  reasoning += delta.reasoning();
  content += delta.content();
  for (const v1::ToolCallDelta& part : delta.tool_calls()) {
    v1::ToolCallDelta& call = calls[part.index()];
    if (!part.id().empty()) call.set_id(part.id());
    if (!part.name().empty()) call.set_name(part.name());
    call.mutable_arguments()->append(part.arguments());
  }
}

struct Answer {
  v1::ChatStart start;
  std::map<int, Completion> completions;
  v1::ChatEnd end;
};

nlohmann::ordered_json ToJson(const Completion& completion) {
  nlohmann::ordered_json out;
  out["content"] = completion.content;
  out["reasoning"] = completion.reasoning;
  out["tool_calls"] = nlohmann::ordered_json::array();
  for (const auto& [index, call] : completion.calls) {
    out["tool_calls"].push_back(
        {{"id", call.id()}, {"name", call.name()}, {"arguments", call.arguments()}});
  }
  out["finish_reason"] = v1::FinishReason_Name(completion.end.finish_reason());
  if (completion.end.finish_reason() == v1::STOP_SEQUENCE) {
    out["matched_stop"] = completion.end.matched_stop();
  }
  return out;
}

// The first completion's fields are those of the object itself.
void PrintJson(const Answer& answer) {
  const auto first = answer.completions.begin();
  nlohmann::ordered_json out =
      ToJson(first == answer.completions.end() ? Completion() : first->second);
  const v1::Usage& usage = answer.end.usage();
  out["usage"] = {{"prompt_tokens", usage.prompt_tokens()},
                  {"cached_tokens", usage.cached_tokens()},
                  {"completion_tokens", usage.completion_tokens()},
                  {"reasoning_tokens", usage.reasoning_tokens()}};
  if (!answer.start.media().empty()) out["media"] = MediaReport(answer.start.media());
  if (answer.completions.size() > 1) {
    for (const auto& [index, completion] : answer.completions) {
      out["completions"].push_back(ToJson(completion));
    }
  }
  out["model"] = answer.start.model();
  out["request_id"] = answer.start.request_id();
  std::printf("%s\n",
              out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

void Print(std::FILE* file, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), file);
  std::fflush(file);
}

void PrintCalls(const Completion& completion) {
  for (const auto& [index, call] : completion.calls) {
    std::printf("%s %s(%s)\n", call.id().c_str(), call.name().c_str(), call.arguments().c_str());
  }
}

// A usage error if the arguments do not make a request; nullopt: go on.
std::optional<int> Begin(const char* usage, const FlagSet& flags,
                         const std::vector<std::string>& arguments, const Arguments& a,
                         v1::ChatRequest* request) {
  std::vector<std::string> positional;
  if (const auto exit = ParseCommand(usage, flags, arguments, /*max_positional=*/1, &positional,
                                     [&] { return Check(a, positional); })) {
    return exit;
  }
  absl::StatusOr<v1::ChatRequest> made = MakeRequest(a, positional);
  if (made.ok()) {
    *request = *std::move(made);
    return std::nullopt;
  }
  std::fprintf(stderr, "facet: %s\n", std::string(made.status().message()).c_str());
  return kExitUsage;
}

}  // namespace

int RunChat(const std::vector<std::string>& arguments) {
  Arguments a;
  v1::ChatRequest request;
  if (const auto exit = Begin(kChatUsage, ChatFlags(&a), arguments, a, &request)) return *exit;
  const std::shared_ptr<grpc::Channel> channel = a.connection.Open();
  grpc::ClientContext context;
  a.connection.Prepare(&context);
  const auto stub = v1::Generation::NewStub(channel);
  const auto reader = stub->Chat(&context, request);
  // Several answers are printed one after the other when they are whole.
  const bool streams = !a.json && a.n.value_or(1) <= 1;
  Answer answer;
  v1::ChatResponse response;
  while (reader->Read(&response)) {
    if (response.has_start()) answer.start = response.start();
    if (response.has_delta()) {
      const v1::ChatDelta& delta = response.delta();
      if (streams) Print(stderr, delta.reasoning());  // the answer alone can be piped on
      if (streams) Print(stdout, delta.content());
      answer.completions[delta.index()].Add(delta);
    }
    if (response.has_sequence_end()) {
      answer.completions[response.sequence_end().index()].end = response.sequence_end();
    }
    if (response.has_end()) answer.end = response.end();
  }
  const grpc::Status status = reader->Finish();
  if (streams && !answer.completions.empty()) std::printf("\n");
  if (!status.ok()) {
    std::fflush(stdout);
    return ReportFailure(status, context);
  }
  if (a.json) {
    PrintJson(answer);
    return kExitOk;
  }
  for (const auto& [index, completion] : answer.completions) {
    if (!streams) std::printf("[%d] %s\n", index, completion.content.c_str());
    PrintCalls(completion);
  }
  return kExitOk;
}

int RunRender(const std::vector<std::string>& arguments) {
  Arguments a;
  v1::ChatRequest request;
  if (const auto exit = Begin(kRenderUsage, RenderFlags(&a), arguments, a, &request)) return *exit;
  const std::shared_ptr<grpc::Channel> channel = a.connection.Open();
  grpc::ClientContext context;
  a.connection.Prepare(&context);
  v1::RenderChatResponse response;
  const grpc::Status status =
      v1::Generation::NewStub(channel)->RenderChat(&context, request, &response);
  if (!status.ok()) return ReportFailure(status, context);
  Print(stdout, response.prompt());
  return kExitOk;
}

}  // namespace facet
