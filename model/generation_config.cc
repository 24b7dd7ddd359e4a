#include "model/generation_config.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/json.h"

namespace facet {
namespace {

constexpr size_t kMaxEndTokens = 256;
constexpr size_t kMaxSuppressedTokens = 65536;

std::vector<int> Union(const std::vector<int>& a, const std::vector<int>& b) {
  std::vector<int> all;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(all));
  return all;
}

absl::StatusOr<GenerationConfig> FromJson(const nlohmann::json& json, const ModelConfig& model) {
  absl::Status error;
  const JsonObject in(json, error);
  GenerationConfig config;
  config.do_sample = in.Bool("do_sample", config.do_sample);
  config.temperature = in.Double("temperature", 0.0, 100.0, config.temperature);
  config.top_k = in.Int("top_k", 0, 1 << 30, config.top_k);
  config.top_p = in.Double("top_p", 1e-6, 1.0, config.top_p);
  config.min_p = in.Double("min_p", 0.0, 1.0, config.min_p);
  config.repetition_penalty = in.Double("repetition_penalty", 1e-3, 1e3, 1.0);
  config.eos_token_ids =
      Union(in.TokenIds("eos_token_id", model.vocab_size, kMaxEndTokens), model.eos_token_ids);
  config.suppress_tokens = in.TokenIds("suppress_tokens", model.vocab_size, kMaxSuppressedTokens);
  FACET_RETURN_IF_ERROR(error);
  return config;
}

}  // namespace

absl::StatusOr<GenerationConfig> ParseGenerationConfig(absl::string_view json,
                                                       const ModelConfig& model) {
  FACET_ASSIGN_OR_RETURN(const nlohmann::json value, ParseJson(json));
  return FromJson(value, model);
}

absl::StatusOr<GenerationConfig> LoadGenerationConfig(const std::string& model_dir,
                                                      const ModelConfig& model) {
  const std::string path = absl::StrCat(model_dir, "/generation_config.json");
  const absl::StatusOr<nlohmann::json> value = ReadJsonFile(path);
  if (absl::IsNotFound(value.status())) {
    GenerationConfig config;
    config.eos_token_ids = model.eos_token_ids;
    return config;
  }
  FACET_RETURN_IF_ERROR(value.status());
  absl::StatusOr<GenerationConfig> config = FromJson(*value, model);
  if (!config.ok()) return Annotate(config.status(), path);
  return config;
}

}  // namespace facet
