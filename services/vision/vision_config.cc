#include "services/vision/vision_config.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/json.h"

namespace facet {
namespace {

constexpr int kMaxWidth = 1 << 16;

void ReadSizes(const JsonObject& in, VisionConfig& config) {
  config.hidden_size = in.Int("hidden_size", 1, kMaxWidth);
  config.intermediate_size = in.Int("intermediate_size", 1, kMaxWidth);
  config.num_layers = in.Int("num_hidden_layers", 1, 1024);
  config.num_heads = in.Int("num_attention_heads", 1, 1024);
  config.head_dim = in.Int("head_dim", 4, 1024, config.hidden_size / config.num_heads);
  config.patches.patch = in.Int("patch_size", 1, 256, 16);
  config.patches.pooling = in.Int("pooling_kernel_size", 1, 16, 3);
  config.position_table_size = in.Int("position_embedding_size", 1, 1 << 20, 10240);
  if (config.head_dim % 4 != 0) in.Fail("head_dim", "must be a multiple of 4");
  const int kv_heads = in.Int("num_key_value_heads", 1, 1024, config.num_heads);
  if (kv_heads != config.num_heads) in.Fail("num_key_value_heads", "must be num_attention_heads");
}

void ReadRules(const JsonObject& in, VisionConfig& config) {
  config.rms_norm_eps = in.Double("rms_norm_eps", 0, 1, 1e-6);
  config.clipped_linears = in.Bool("use_clipped_linears", false);
  config.standardize = in.Bool("standardize", false);
  const std::string activation = in.String("hidden_activation", "gelu_pytorch_tanh");
  if (activation != "gelu_pytorch_tanh") {
    in.Fail("hidden_activation", "is " + Quoted(activation) + ", only gelu_pytorch_tanh");
  }
  if (!in.Has("rope_parameters")) return;
  const JsonObject rope = in.Object("rope_parameters");
  config.rope_theta = rope.Double("rope_theta", 1, 1e12, 100);
  // One rotation under two names.
  const std::string type = rope.String("rope_type", "default");
  if (type != "default" && type != "axial") {
    rope.Fail("rope_type", "is " + Quoted(type) + ", only \"default\" and \"axial\"");
  }
}

absl::StatusOr<VisionConfig> FromJson(const nlohmann::json& json) {
  absl::Status error;
  const JsonObject top(json, error);
  FACET_RETURN_IF_ERROR(error);
  if (!top.Has("vision_config")) {
    return absl::FailedPreconditionError("the model has no vision_config: it takes no images");
  }
  VisionConfig config;
  ReadSizes(top.Object("vision_config"), config);
  ReadRules(top.Object("vision_config"), config);
  const JsonObject text = top.Has("text_config") ? top.Object("text_config") : top;
  config.text_hidden_size = text.Int("hidden_size", 1, kMaxWidth);
  config.default_image_budget = top.Int("vision_soft_tokens_per_image", 1, 1 << 16, 280);
  FACET_RETURN_IF_ERROR(error);
  return config;
}

}  // namespace

absl::StatusOr<VisionConfig> ParseVisionConfig(absl::string_view json) {
  FACET_ASSIGN_OR_RETURN(const nlohmann::json value, ParseJson(json));
  return FromJson(value);
}

absl::StatusOr<VisionConfig> LoadVisionConfig(const std::string& model_dir) {
  const std::string path = absl::StrCat(model_dir, "/config.json");
  FACET_ASSIGN_OR_RETURN(const nlohmann::json value, ReadJsonFile(path));
  absl::StatusOr<VisionConfig> config = FromJson(value);
  if (!config.ok()) return Annotate(config.status(), path);
  return config;
}

}  // namespace facet
