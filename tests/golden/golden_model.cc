#include "tests/golden/golden_model.h"

#include <cstring>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/safetensors.h"
#include "nlohmann/json.hpp"

namespace facet::testing {
namespace {

absl::StatusOr<std::vector<std::vector<float>>> ReadRows(const SafetensorsFile& file,
                                                         const std::string& name) {
  for (const SafetensorsEntry& entry : file.entries()) {
    if (entry.name != name) continue;
    if (entry.dtype != "F32" || entry.shape.size() != 2) break;
    const uint8_t* data = file.bytes(entry).data();
    std::vector<std::vector<float>> rows(entry.shape[0]);
    for (std::vector<float>& row : rows) {
      row.resize(entry.shape[1]);
      std::memcpy(row.data(), data, row.size() * sizeof(float));
      data += row.size() * sizeof(float);
    }
    return rows;
  }
  return absl::NotFoundError(absl::StrCat("no float32 matrix ", name));
}

absl::StatusOr<nlohmann::json> ReadJson(const std::string& path) {
  std::ifstream in(path);
  if (!in) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  nlohmann::json json = nlohmann::json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError(absl::StrCat("no JSON in ", path));
  return json;
}

}  // namespace

std::vector<int32_t> GoldenPrompt::Path() const {
  std::vector<int32_t> path = ids;
  path.insert(path.end(), greedy.begin(), greedy.end() - 1);
  return path;
}

absl::StatusOr<GoldenModel> LoadGoldenModel(const std::string& dir) {
  GoldenModel model;
  model.dir = dir;
  model.name = dir.substr(dir.find_last_of('/') + 1);
  FACET_ASSIGN_OR_RETURN(model.config, LoadModelConfig(dir));
  FACET_ASSIGN_OR_RETURN(model.checkpoint, OpenCheckpoint(dir));
  FACET_ASSIGN_OR_RETURN(const nlohmann::json expected,
                         ReadJson(absl::StrCat(dir, "/expected.json")));
  FACET_ASSIGN_OR_RETURN(const SafetensorsFile file,
                         SafetensorsFile::Open(absl::StrCat(dir, "/expected.safetensors")));
  for (const nlohmann::json& json : expected.at("prompts")) {
    GoldenPrompt prompt;
    prompt.ids = json.at("ids").get<std::vector<int32_t>>();
    prompt.greedy = json.at("greedy").get<std::vector<int32_t>>();
    const std::string name = absl::StrCat("prompt", model.prompts.size(), ".logits");
    FACET_ASSIGN_OR_RETURN(prompt.logits, ReadRows(file, name));
    if (prompt.logits.size() != prompt.Path().size()) {
      return absl::InvalidArgumentError(
          absl::StrCat(dir, ": ", name, " has ", prompt.logits.size(), " positions"));
    }
    model.prompts.push_back(std::move(prompt));
  }
  if (const auto it = expected.find("bfloat16"); it != expected.end()) {
    model.bfloat16 =
        Bfloat16Reference{it->at("mean_error").get<double>(), it->at("equal_best").get<double>()};
  }
  if (model.prompts.empty()) return absl::InvalidArgumentError(absl::StrCat(dir, ": no prompts"));
  return model;
}

}  // namespace facet::testing
