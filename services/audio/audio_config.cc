#include "services/audio/audio_config.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/json.h"

namespace facet {
namespace {

constexpr int kMaxWidth = 1 << 16;

std::array<int, 2> ReadConvChannels(const JsonObject& in) {
  const nlohmann::json* const channels = in.Find("subsampling_conv_channels");
  if (channels == nullptr) return {128, 32};
  std::array<int, 2> out = {1, 1};
  const bool two = channels->is_array() && channels->size() == 2;
  for (size_t i = 0; two && i < 2; ++i) {
    const nlohmann::json& value = (*channels)[i];
    if (!value.is_number_integer() || value < 1 || value > 4096) break;
    out[i] = value.get<int>();
    if (i == 1) return out;
  }
  in.Fail("subsampling_conv_channels",
          "is " + Excerpt(*channels) + ", must be two numbers in [1, 4096]");
  return out;
}

// The reference's band leaves its bounds out: a context of 13 to the left is 12 frames, of which
// the frame itself is one.
void ReadBand(const JsonObject& in, AudioConfig& config) {
  const int left = in.Int("attention_context_left", 2, 1024, 13);
  const int right = in.Int("attention_context_right", 0, 1024, 0);
  const int chunk = in.Int("attention_chunk_size", 1, 1024, 12);
  config.attention_keys = left - 1;
  config.keys_ahead = std::max(0, right - 1);
  config.distance_offset = (chunk + left - 1 + right) / 2 - (left - 1);
}

void ReadTower(const JsonObject& in, AudioConfig& config) {
  config.hidden_size = in.Int("hidden_size", 1, kMaxWidth);
  config.num_layers = in.Int("num_hidden_layers", 1, 1024);
  config.num_heads = in.Int("num_attention_heads", 1, 1024);
  if (config.hidden_size % config.num_heads != 0 || config.hidden_size % 2 != 0) {
    in.Fail("num_attention_heads", "must divide hidden_size, an even number");
  }
  config.conv_channels = ReadConvChannels(in);
  config.conv_kernel = in.Int("conv_kernel_size", 1, 64, 5);
  config.residual_weight = static_cast<float>(in.Double("residual_weight", 0, 1, 0.5));
  ReadBand(in, config);
  config.logit_cap = static_cast<float>(in.Double("attention_logit_cap", 1e-3, 1e6, 50));
  config.gradient_clipping = static_cast<float>(in.Double("gradient_clipping", 0, 3e38, 1e10));
  config.rms_norm_eps = in.Double("rms_norm_eps", 0, 1, 1e-6);
  config.clipped_linears = in.Bool("use_clipped_linears", true);
  config.output_size = in.Int("output_proj_dims", 1, kMaxWidth);
  const std::string activation = in.String("hidden_act", "silu");
  if (activation != "silu") in.Fail("hidden_act", "is " + Quoted(activation) + ", only silu");
}

absl::StatusOr<AudioConfig> FromJson(const nlohmann::json& json) {
  absl::Status error;
  const JsonObject top(json, error);
  FACET_RETURN_IF_ERROR(error);
  if (!top.Has("audio_config")) {
    return absl::FailedPreconditionError("the model has no audio_config: it takes no audio");
  }
  AudioConfig config;
  ReadTower(top.Object("audio_config"), config);
  const JsonObject text = top.Has("text_config") ? top.Object("text_config") : top;
  config.text_hidden_size = text.Int("hidden_size", 1, kMaxWidth);
  FACET_RETURN_IF_ERROR(error);
  return config;
}

}  // namespace

absl::StatusOr<AudioConfig> ParseAudioConfig(absl::string_view json) {
  FACET_ASSIGN_OR_RETURN(const nlohmann::json value, ParseJson(json));
  return FromJson(value);
}

absl::StatusOr<AudioConfig> LoadAudioConfig(const std::string& model_dir) {
  const std::string path = absl::StrCat(model_dir, "/config.json");
  FACET_ASSIGN_OR_RETURN(const nlohmann::json value, ReadJsonFile(path));
  absl::StatusOr<AudioConfig> config = FromJson(value);
  if (!config.ok()) return Annotate(config.status(), path);
  return config;
}

}  // namespace facet
