#include "services/client/text_commands.h"

#include <cstdio>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"
#include "proto/facet/v1/generation.grpc.pb.h"
#include "services/client/command.h"

namespace facet {
namespace {

using Json = nlohmann::ordered_json;

// The text that a command is given: --text, --file, or its only word.
struct TextSource {
  std::optional<std::string> text;
  std::optional<std::string> file;

  void AddFlags(FlagSet* flags) {
    flags->Text("text", "TEXT", "the text; a word without a flag is one too", &text);
    flags->Text("file", "FILE", "a file that holds the text; - is the standard input", &file);
  }

  absl::Status Resolve(const std::vector<std::string>& positional) {
    const size_t given = positional.size() + text.has_value() + file.has_value();
    if (given != 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "give the text once: as a word, by --text or --file; ", given, " are given"));
    }
    if (!positional.empty()) text = positional.front();
    if (file.has_value()) return ReadFile(*file, &text.emplace());
    return absl::OkStatus();
  }
};

void PrintLine(const Json& json) {
  std::printf("%s\n", json.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
}

}  // namespace

int RunTokenize(const std::vector<std::string>& arguments) {
  Connection connection;
  TextSource source;
  std::optional<std::string> model;
  bool parse_special = false, add_bos = false, pieces = false, json = false;
  FlagSet flags;
  source.AddFlags(&flags);
  connection.AddFlags(&flags);
  flags.Text("model", "NAME", "the model (default: the only one)", &model);
  flags.Switch("parse-special", "control tokens in the text are control tokens", &parse_special);
  flags.Switch("add-bos", "put the beginning-of-sequence token in front", &add_bos);
  flags.Switch("pieces", "print a line for each token: its id and its text", &pieces);
  flags.Switch("json", "print one JSON object", &json);
  std::vector<std::string> positional;
  if (const auto exit = ParseCommand("tokenize (TEXT | --file FILE) [flags]", flags, arguments, 1,
                                     &positional, [&] {
                                       const absl::Status status = connection.Validate();
                                       return status.ok() ? source.Resolve(positional) : status;
                                     })) {
    return *exit;
  }
  v1::TokenizeRequest request;
  request.set_model(model.value_or(""));
  request.set_text(*source.text);
  request.set_parse_special(parse_special);
  request.set_add_bos(add_bos);
  grpc::ClientContext context;
  connection.Prepare(&context);
  v1::TokenizeResponse response;
  const grpc::Status status =
      v1::Generation::NewStub(connection.Open())->Tokenize(&context, request, &response);
  if (!status.ok()) return ReportFailure(status, context);
  if (json) {
    Json out;
    out["token_ids"] =
        std::vector<int32_t>(response.token_ids().begin(), response.token_ids().end());
    out["pieces"] = std::vector<std::string>(response.pieces().begin(), response.pieces().end());
    PrintLine(out);
  } else if (pieces) {
    for (int i = 0; i < response.token_ids_size(); ++i) {
      std::printf(
          "%d %s\n", response.token_ids(i),
          Json(response.pieces(i)).dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
    }
  } else {
    std::printf("%s\n", absl::StrJoin(response.token_ids(), ",").c_str());
  }
  return kExitOk;
}

int RunDetokenize(const std::vector<std::string>& arguments) {
  Connection connection;
  std::optional<std::vector<int32_t>> ids;
  std::optional<std::string> model;
  bool show_special = false, json = false;
  FlagSet flags;
  flags.IntList("ids", "IDS", "the token ids; a word without a flag holds them too", &ids);
  connection.AddFlags(&flags);
  flags.Text("model", "NAME", "the model (default: the only one)", &model);
  flags.Switch("show-special", "leave control tokens in the text", &show_special);
  flags.Switch("json", "print one JSON object", &json);
  std::vector<std::string> positional;
  const auto check = [&]() -> absl::Status {
    if (positional.size() + ids.has_value() != 1) {
      return absl::InvalidArgumentError("give the ids once: as a word or by --ids");
    }
    if (!positional.empty() && !ParseIds(positional.front(), &ids.emplace())) {
      return absl::InvalidArgumentError(absl::StrCat("'", positional.front(), "' are no ids"));
    }
    return connection.Validate();
  };
  if (const auto exit =
          ParseCommand("detokenize IDS [flags]", flags, arguments, 1, &positional, check)) {
    return *exit;
  }
  v1::DetokenizeRequest request;
  request.set_model(model.value_or(""));
  request.mutable_token_ids()->Add(ids->begin(), ids->end());
  request.set_show_special(show_special);
  grpc::ClientContext context;
  connection.Prepare(&context);
  v1::DetokenizeResponse response;
  const grpc::Status status =
      v1::Generation::NewStub(connection.Open())->Detokenize(&context, request, &response);
  if (!status.ok()) return ReportFailure(status, context);
  if (json) {
    PrintLine({{"text", response.text()}});
  } else {
    std::fwrite(response.text().data(), 1, response.text().size(), stdout);
    std::printf("\n");
  }
  return kExitOk;
}

int RunCount(const std::vector<std::string>& arguments) {
  Connection connection;
  TextSource source;
  std::optional<std::string> model;
  bool parse_special = false, no_bos = false, json = false;
  FlagSet flags;
  source.AddFlags(&flags);
  connection.AddFlags(&flags);
  flags.Text("model", "NAME", "the model (default: the only one)", &model);
  flags.Switch("parse-special", "control tokens in the text are control tokens", &parse_special);
  flags.Switch("no-bos", "do not count a beginning-of-sequence token in front", &no_bos);
  flags.Switch("json", "print one JSON object", &json);
  std::vector<std::string> positional;
  if (const auto exit =
          ParseCommand("count (TEXT | --file FILE) [flags]", flags, arguments, 1, &positional, [&] {
            const absl::Status status = connection.Validate();
            return status.ok() ? source.Resolve(positional) : status;
          })) {
    return *exit;
  }
  v1::CountTokensRequest request;
  request.set_model(model.value_or(""));
  request.mutable_prompt()->set_text(*source.text);
  request.mutable_prompt()->set_parse_special(parse_special);
  if (no_bos) request.mutable_prompt()->set_add_bos(false);
  grpc::ClientContext context;
  connection.Prepare(&context);
  v1::CountTokensResponse response;
  const grpc::Status status =
      v1::Generation::NewStub(connection.Open())->CountTokens(&context, request, &response);
  if (!status.ok()) return ReportFailure(status, context);
  if (json) {
    PrintLine({{"prompt_tokens", response.prompt_tokens()}});
  } else {
    std::printf("%d\n", response.prompt_tokens());
  }
  return kExitOk;
}

}  // namespace facet
