#include "services/client/models_command.h"

#include <cstdio>

#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"
#include "proto/facet/v1/models.grpc.pb.h"
#include "services/client/command.h"

namespace facet {
namespace {

using Json = nlohmann::ordered_json;

Json ToJson(const v1::Model& model) {
  Json out;
  out["name"] = model.name();
  out["architecture"] = model.architecture();
  out["vocab_size"] = model.vocab_size();
  out["context_length"] = model.context_length();
  out["has_tokenizer"] = model.has_tokenizer();
  out["modalities"] =
      std::vector<std::string>(model.modalities().begin(), model.modalities().end());
  out["ready_groups"] = model.ready_groups();
  out["total_groups"] = model.total_groups();
  out["fingerprint"] = model.fingerprint();
  return out;
}

void PrintTable(const v1::ListModelsResponse& response) {
  std::printf("%-24s %-20s %10s %10s %10s %8s  %s\n", "MODEL", "ARCHITECTURE", "VOCABULARY",
              "CONTEXT", "TOKENIZER", "GROUPS", "MODALITIES");
  for (const v1::Model& model : response.models()) {
    std::printf("%-24s %-20s %10d %10d %10s %4d/%-3d  %s\n", model.name().c_str(),
                model.architecture().c_str(), model.vocab_size(), model.context_length(),
                model.has_tokenizer() ? "yes" : "no", model.ready_groups(), model.total_groups(),
                absl::StrJoin(model.modalities(), ",").c_str());
  }
}

}  // namespace

int RunModels(const std::vector<std::string>& arguments) {
  Connection connection;
  bool json = false;
  FlagSet flags;
  connection.AddFlags(&flags);
  flags.Switch("json", "print one JSON object", &json);
  std::vector<std::string> positional;
  if (const auto exit = ParseCommand("models [flags]", flags, arguments, /*max_positional=*/0,
                                     &positional, [&] { return connection.Validate(); })) {
    return *exit;
  }
  grpc::ClientContext context;
  connection.Prepare(&context);
  v1::ListModelsResponse response;
  const grpc::Status status = v1::Models::NewStub(connection.Open())
                                  ->ListModels(&context, v1::ListModelsRequest(), &response);
  if (!status.ok()) return ReportFailure(status, context);
  if (json) {
    Json out = {{"models", Json::array()}};
    for (const v1::Model& model : response.models()) out["models"].push_back(ToJson(model));
    std::printf("%s\n", out.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
  } else {
    PrintTable(response);
  }
  return kExitOk;
}

}  // namespace facet
