#include "services/client/generate_command.h"

#include <cstdio>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "proto/facet/v1/generation.grpc.pb.h"
#include "proto/facet/v1/models.grpc.pb.h"
#include "services/client/command.h"
#include "services/client/media_files.h"
#include "services/client/media_report.h"

namespace facet {
namespace {

constexpr char kUsage[] =
    "generate (--prompt TEXT | --prompt-ids 1,2,3 | --prompt-file FILE) [flags]\n"
    "Each placeholder of a medium in the prompt (one token each) takes the next file of its kind.";

struct Arguments {
  Connection connection;
  std::optional<std::string> prompt;
  std::optional<std::vector<int32_t>> prompt_ids;
  std::optional<std::string> prompt_file;
  MediaFiles media;
  std::optional<std::string> model;
  std::optional<int32_t> max_tokens;
  std::optional<int32_t> min_tokens;
  std::optional<double> temperature;
  std::optional<int32_t> top_k;
  std::optional<double> top_p;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
  std::optional<double> presence_penalty;
  std::optional<double> frequency_penalty;
  std::optional<uint64_t> seed;
  std::optional<int32_t> logprobs;
  std::optional<int32_t> prompt_logprobs;
  std::optional<int32_t> n;
  std::optional<std::string> cache_salt;
  std::optional<int32_t> priority;
  std::vector<std::string> stop;
  std::optional<std::vector<int32_t>> stop_token_ids;
  bool ignore_eos = false;
  bool parse_special = false;
  bool no_bos = false;
  bool show_special = false;
  bool json = false;
};

FlagSet MakeFlags(Arguments* a) {
  FlagSet flags;
  flags.Text("prompt", "TEXT", "the prompt", &a->prompt);
  flags.IntList("prompt-ids", "IDS", "the prompt as token ids, separated by commas",
                &a->prompt_ids);
  flags.Text("prompt-file", "FILE", "a file that holds the prompt; - is the standard input",
             &a->prompt_file);
  a->media.AddFlags(&flags);
  a->connection.AddFlags(&flags);
  flags.Text("model", "NAME", "the model (default: the only one)", &a->model);
  flags.Int("max-tokens", "N", "generate at most N tokens (default: what the context has room for)",
            &a->max_tokens);
  flags.Int("min-tokens", "N", "do not end before N tokens", &a->min_tokens);
  flags.Number("temperature", "T", "0: greedy (default: the checkpoint's)", &a->temperature);
  flags.Int("top-k", "K", "sample from the K likeliest tokens", &a->top_k);
  flags.Number("top-p", "P", "sample from the likeliest tokens with probability P together",
               &a->top_p);
  flags.Number("min-p", "P", "sample from tokens P times as likely as the likeliest", &a->min_p);
  flags.Number("repetition-penalty", "R", "1: off", &a->repetition_penalty);
  flags.Number("presence-penalty", "P", "0: off", &a->presence_penalty);
  flags.Number("frequency-penalty", "P", "0: off", &a->frequency_penalty);
  flags.Uint64("seed", "N", "equal seeds give equal answers", &a->seed);
  flags.Int("logprobs", "K", "log-probabilities of the tokens and of the K likeliest (0 to 20)",
            &a->logprobs);
  flags.Int("prompt-logprobs", "K", "the same of the prompt's tokens", &a->prompt_logprobs);
  flags.Int("n", "N", "completions of the prompt, 1 to 16 (default 1)", &a->n);
  flags.Text("cache-salt", "TEXT", "share cached prompts only with requests of the same salt",
             &a->cache_salt);
  flags.Switch("ignore-eos", "do not stop at the model's end tokens", &a->ignore_eos);
  flags.TextList("stop", "TEXT", "stop before this text", &a->stop);
  flags.IntList("stop-token-ids", "IDS", "stop at these tokens", &a->stop_token_ids);
  flags.Switch("parse-special", "control tokens in the prompt's text are control tokens",
               &a->parse_special);
  flags.Switch("no-bos", "do not put the beginning-of-sequence token in front of the text",
               &a->no_bos);
  flags.Switch("show-special", "leave control tokens in the answer", &a->show_special);
  flags.Int("priority", "N", "-100 to 100; higher runs first", &a->priority);
  flags.Switch("json", "print one JSON object at the end", &a->json);
  return flags;
}

absl::Status Check(const Arguments& a) {
  const int prompts = a.prompt.has_value() + a.prompt_ids.has_value() + a.prompt_file.has_value();
  if (prompts != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "give one of --prompt, --prompt-ids and --prompt-file; ", prompts, " are given"));
  }
  if (a.prompt_ids.has_value() && (a.parse_special || a.no_bos)) {
    return absl::InvalidArgumentError("--parse-special and --no-bos are for prompts of text");
  }
  return a.connection.Validate();
}

absl::StatusOr<v1::Prompt> MakePrompt(const Arguments& a) {
  v1::Prompt prompt;
  if (a.prompt_ids.has_value()) {
    prompt.mutable_token_ids()->mutable_ids()->Add(a.prompt_ids->begin(), a.prompt_ids->end());
    return prompt;
  }
  if (a.prompt.has_value()) {
    prompt.set_text(*a.prompt);
  } else {
    FACET_RETURN_IF_ERROR(ReadFile(*a.prompt_file, prompt.mutable_text()));
  }
  prompt.set_parse_special(a.parse_special);
  if (a.no_bos) prompt.set_add_bos(false);
  return prompt;
}

absl::StatusOr<v1::GenerateRequest> MakeRequest(const Arguments& a) {
  v1::GenerateRequest request;
  request.set_model(a.model.value_or(""));
  FACET_ASSIGN_OR_RETURN(*request.mutable_prompt(), MakePrompt(a));
  FACET_RETURN_IF_ERROR(a.media.Read(request.mutable_media()));
  v1::SamplingParams& sampling = *request.mutable_sampling();
  if (a.temperature) sampling.set_temperature(*a.temperature);
  if (a.top_k) sampling.set_top_k(*a.top_k);
  if (a.top_p) sampling.set_top_p(*a.top_p);
  if (a.min_p) sampling.set_min_p(*a.min_p);
  if (a.repetition_penalty) sampling.set_repetition_penalty(*a.repetition_penalty);
  if (a.presence_penalty) sampling.set_presence_penalty(*a.presence_penalty);
  if (a.frequency_penalty) sampling.set_frequency_penalty(*a.frequency_penalty);
  if (a.seed) sampling.set_seed(*a.seed);
  v1::StoppingParams& stopping = *request.mutable_stopping();
  if (a.max_tokens) stopping.set_max_tokens(*a.max_tokens);
  if (a.min_tokens) stopping.set_min_tokens(*a.min_tokens);
  stopping.set_ignore_eos(a.ignore_eos);
  for (const std::string& stop : a.stop) stopping.add_stop(stop);
  if (a.stop_token_ids) {
    stopping.mutable_stop_token_ids()->Add(a.stop_token_ids->begin(), a.stop_token_ids->end());
  }
  if (a.logprobs) request.set_logprobs(*a.logprobs);
  if (a.prompt_logprobs) request.set_prompt_logprobs(*a.prompt_logprobs);
  if (a.n) request.set_n(*a.n);
  if (a.cache_salt) request.set_cache_salt(*a.cache_salt);
  request.set_priority(a.priority.value_or(0));
  request.set_show_special(a.show_special);
  return request;
}

nlohmann::ordered_json ToJson(const v1::TokenLogprob& token) {
  nlohmann::ordered_json out = {{"token_id", token.token_id()}, {"logprob", token.logprob()}};
  out["top"] = nlohmann::ordered_json::array();
  for (const v1::TopLogprob& top : token.top()) {
    out["top"].push_back({{"token_id", top.token_id()}, {"logprob", top.logprob()}});
  }
  return out;
}

nlohmann::ordered_json ToJson(const google::protobuf::RepeatedPtrField<v1::TokenLogprob>& tokens) {
  auto out = nlohmann::ordered_json::array();
  for (const v1::TokenLogprob& token : tokens) out.push_back(ToJson(token));
  return out;
}

struct Completion {
  v1::Delta all;
  v1::SequenceEnd end;
};

// Everything that a stream brought.
struct Answer {
  v1::StreamStart start;
  v1::PromptLogprobs prompt;
  std::vector<Completion> completions;
  v1::StreamEnd end;

  void Add(const v1::GenerateResponse& response);
};

void Answer::Add(const v1::GenerateResponse& response) {
  const auto at = [this](int index) -> Completion& {
    if (completions.size() <= static_cast<size_t>(index)) {
      completions.resize(static_cast<size_t>(index) + 1);
    }
    return completions[static_cast<size_t>(index)];
  };
  switch (response.event_case()) {
    case v1::GenerateResponse::kStart:
      start = response.start();
      break;
    case v1::GenerateResponse::kPromptLogprobs:
      prompt.MergeFrom(response.prompt_logprobs());
      break;
    case v1::GenerateResponse::kDelta: {
      v1::Delta& all = at(response.delta().index()).all;
      std::string text = std::move(*all.mutable_text());
      text += response.delta().text();  // MergeFrom appends what is repeated, but replaces text
      all.MergeFrom(response.delta());
      all.set_text(std::move(text));
      break;
    }
    case v1::GenerateResponse::kSequenceEnd:
      at(response.sequence_end().index()).end = response.sequence_end();
      break;
    case v1::GenerateResponse::kEnd:
      end = response.end();
      // One completion has no end of its own.
      if (completions.size() > 1) break;
      at(0).end.set_finish_reason(end.finish_reason());
      at(0).end.set_matched_stop(end.matched_stop());
      break;
    default:
      break;
  }
}

// token_ids, text, finish_reason, matched_stop, logprobs.
nlohmann::ordered_json ToJson(const Completion& completion, bool with_logprobs) {
  nlohmann::ordered_json out;
  out["token_ids"] =
      std::vector<int32_t>(completion.all.token_ids().begin(), completion.all.token_ids().end());
  out["text"] = completion.all.text();
  out["finish_reason"] = v1::FinishReason_Name(completion.end.finish_reason());
  if (completion.end.finish_reason() == v1::STOP_SEQUENCE) {
    out["matched_stop"] = completion.end.matched_stop();
  }
  if (with_logprobs) out["logprobs"] = ToJson(completion.all.logprobs());
  return out;
}

// The first completion's fields are those of the object itself, so that whoever asks for one finds
// them where they always are.
void PrintJson(const Answer& answer, const Arguments& a) {
  const v1::StreamEnd& end = answer.end;
  const bool with_logprobs = a.logprobs.has_value();
  nlohmann::ordered_json out =
      ToJson(answer.completions.empty() ? Completion() : answer.completions.front(), with_logprobs);
  out["usage"] = {{"prompt_tokens", end.usage().prompt_tokens()},
                  {"cached_tokens", end.usage().cached_tokens()},
                  {"completion_tokens", end.usage().completion_tokens()}};
  if (a.prompt_logprobs.has_value()) out["prompt_logprobs"] = ToJson(answer.prompt.tokens());
  if (a.n.value_or(1) > 1) {
    for (const Completion& completion : answer.completions) {
      out["completions"].push_back(ToJson(completion, with_logprobs));
    }
  }
  if (!answer.start.media().empty()) out["media"] = MediaReport(answer.start.media());
  out["model"] = answer.start.model();
  out["request_id"] = answer.start.request_id();
  out["timings"] = {{"queue_seconds", end.timings().queue_seconds()},
                    {"time_to_first_token_seconds", end.timings().time_to_first_token_seconds()},
                    {"total_seconds", end.timings().total_seconds()}};
  std::printf("%s\n",
              out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

void PrintLogprobs(const google::protobuf::RepeatedPtrField<v1::TokenLogprob>& tokens) {
  for (const v1::TokenLogprob& token : tokens) {
    std::printf("%d %.4f", token.token_id(), static_cast<double>(token.logprob()));
    for (const v1::TopLogprob& top : token.top()) {
      std::printf("  %d=%.4f", top.token_id(), static_cast<double>(top.logprob()));
    }
    std::printf("\n");
  }
}

// Whether answers of this model have text. True where it cannot be asked: the call itself will
// fail.
bool HasText(const std::shared_ptr<grpc::Channel>& channel, const Arguments& a) {
  grpc::ClientContext context;
  a.connection.Prepare(&context);
  v1::GetModelRequest request;
  request.set_name(a.model.value_or(""));
  v1::Model model;
  const grpc::Status status = v1::Models::NewStub(channel)->GetModel(&context, request, &model);
  return !status.ok() || model.has_tokenizer();
}

void PrintDelta(const v1::Delta& delta, bool as_text, bool first) {
  if (as_text) {
    std::fwrite(delta.text().data(), 1, delta.text().size(), stdout);
  } else {
    for (const int32_t id : delta.token_ids()) {
      std::printf("%s%d", first ? "" : " ", id);
      first = false;
    }
  }
  std::fflush(stdout);
}

}  // namespace

int RunGenerate(const std::vector<std::string>& arguments) {
  Arguments a;
  std::vector<std::string> positional;
  if (const auto exit = ParseCommand(kUsage, MakeFlags(&a), arguments, /*max_positional=*/0,
                                     &positional, [&a] { return Check(a); })) {
    return *exit;
  }
  const absl::StatusOr<v1::GenerateRequest> request = MakeRequest(a);
  if (!request.ok()) {
    std::fprintf(stderr, "facet: %s\n", std::string(request.status().message()).c_str());
    return kExitUsage;
  }
  const std::shared_ptr<grpc::Channel> channel = a.connection.Open();
  const bool as_text = a.json || HasText(channel, a);
  grpc::ClientContext context;
  a.connection.Prepare(&context);
  const auto stub = v1::Generation::NewStub(channel);
  const auto reader = stub->Generate(&context, *request);
  // Several completions are printed one after the other when they are whole.
  const bool streams = !a.json && a.n.value_or(1) <= 1;
  Answer answer;
  v1::GenerateResponse response;
  while (reader->Read(&response)) {
    if (streams && response.has_delta()) {
      PrintDelta(response.delta(), as_text, answer.completions.empty());
    }
    answer.Add(response);
  }
  const grpc::Status status = reader->Finish();
  if (streams && !answer.completions.empty()) std::printf("\n");
  if (!status.ok()) {
    std::fflush(stdout);
    return ReportFailure(status, context);
  }
  if (a.json) {
    PrintJson(answer, a);
    return kExitOk;
  }
  PrintLogprobs(answer.prompt.tokens());
  for (size_t i = 0; i < answer.completions.size(); ++i) {
    if (!streams) {
      std::printf("[%zu] ", i);
      PrintDelta(answer.completions[i].all, as_text, /*first=*/true);
      std::printf("\n");
    }
    PrintLogprobs(answer.completions[i].all.logprobs());
  }
  return kExitOk;
}

}  // namespace facet
