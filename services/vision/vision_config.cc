#include "services/vision/vision_config.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/json.h"

namespace facet {
namespace {

constexpr int kMaxWidth = 1 << 16;
constexpr int kMaxBudget = 1 << 16;
constexpr int kMaxVideoFrames = 1024;

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
  config.num_kv_heads = in.Int("num_key_value_heads", 1, 1024, config.num_heads);
  if (config.num_heads % config.num_kv_heads != 0) {
    in.Fail("num_key_value_heads", "must divide num_attention_heads");
  }
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
  config.default_image_budget =
      top.Int("vision_soft_tokens_per_image", 1, kMaxBudget, config.default_image_budget);
  FACET_RETURN_IF_ERROR(error);
  return config;
}

void ReadImageProcessor(const JsonObject& in, VisionConfig& config) {
  config.default_image_budget =
      in.Int("max_soft_tokens", 1, kMaxBudget, config.default_image_budget);
}

void ReadVideoProcessor(const JsonObject& in, VisionConfig& config) {
  config.default_frame_budget =
      in.Int("max_soft_tokens", 1, kMaxBudget, config.default_frame_budget);
  config.video_frames = in.Int("num_frames", 1, kMaxVideoFrames, config.video_frames);
}

using ReadProcessor = void (*)(const JsonObject&, VisionConfig&);

// What processor_config.json says under `key`, or else all of the file `own`.
absl::Status LoadProcessor(const std::string& model_dir, const char* key, const char* own,
                           ReadProcessor read, VisionConfig& config) {
  for (const char* file : {"processor_config.json", own}) {
    const std::string path = absl::StrCat(model_dir, "/", file);
    const absl::StatusOr<nlohmann::json> json = ReadJsonFile(path);
    if (absl::IsNotFound(json.status())) continue;
    FACET_RETURN_IF_ERROR(json.status());
    absl::Status error;
    const JsonObject top(*json, error);
    if (file == own) {
      read(top, config);
    } else if (top.Has(key)) {
      read(top.Object(key), config);
    } else {
      continue;
    }
    return error.ok() ? error : Annotate(error, path);
  }
  return absl::OkStatus();
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
  FACET_RETURN_IF_ERROR(LoadProcessor(model_dir, "image_processor", "preprocessor_config.json",
                                      ReadImageProcessor, *config));
  FACET_RETURN_IF_ERROR(LoadProcessor(
      model_dir, "video_processor", "video_preprocessor_config.json", ReadVideoProcessor, *config));
  return config;
}

}  // namespace facet
