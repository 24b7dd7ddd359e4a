// Writes a checkpoint of a published Gemma 4 shape with random weights, to measure and load-test
// real sizes without the real weights:
//
//   make_shape_checkpoint --shape=e2b --out=DIR             the whole model, 9.3 GB
//   make_shape_checkpoint --shape=31b --layers=6 --out=DIR  one 5:1 period of its layers
//
// The answers of such a model are noise; its speed and memory are those of the real one.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/dtype.h"
#include "base/status_macros.h"
#include "model/config.h"
#include "model/tensor_names.h"
#include "nlohmann/json.hpp"

ABSL_FLAG(std::string, shape, "e2b", "e2b, e4b, 26b-a4b or 31b");
ABSL_FLAG(int, layers, 0,
          "cut to this many layers (26b-a4b and 31b: whole periods of 6); 0: all of them");
ABSL_FLAG(std::string, out, "", "folder to write");

namespace facet {
namespace {

using nlohmann::json;

constexpr char kPrefix[] = "model.language_model.";

// The published text settings, gathered from the released config.json files.
json TextConfig(const std::string& shape, int layers) {
  json c = {{"model_type", "gemma4_text"},
            {"vocab_size", 262144},
            {"vocab_size_per_layer_input", 262144},
            {"head_dim", 256},
            {"global_head_dim", 512},
            {"final_logit_softcapping", 30.0},
            {"rms_norm_eps", 1e-6},
            {"hidden_activation", "gelu_pytorch_tanh"},
            {"attention_bias", false},
            {"tie_word_embeddings", true},
            {"rope_parameters",
             {{"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 10000.0}}},
              {"full_attention",
               {{"rope_type", "proportional"},
                {"rope_theta", 1000000.0},
                {"partial_rotary_factor", 0.25}}}}}};
  const bool small = shape == "e2b" || shape == "e4b";
  json size;
  if (shape == "e2b") {
    size = {{"num_hidden_layers", 35},    {"hidden_size", 1536},      {"intermediate_size", 6144},
            {"num_attention_heads", 8},   {"num_key_value_heads", 1}, {"num_kv_shared_layers", 20},
            {"use_double_wide_mlp", true}};
  } else if (shape == "e4b") {
    size = {{"num_hidden_layers", 42},  {"hidden_size", 2560},      {"intermediate_size", 10240},
            {"num_attention_heads", 8}, {"num_key_value_heads", 2}, {"num_kv_shared_layers", 18}};
  } else if (shape == "26b-a4b") {
    size = {{"num_hidden_layers", 30},   {"hidden_size", 2816},
            {"intermediate_size", 2112}, {"num_attention_heads", 16},
            {"num_key_value_heads", 8},  {"num_global_key_value_heads", 2},
            {"enable_moe_block", true},  {"num_experts", 128},
            {"top_k_experts", 8},        {"moe_intermediate_size", 704}};
  } else {
    size = {{"num_hidden_layers", 60},    {"hidden_size", 5376},
            {"intermediate_size", 21504}, {"num_attention_heads", 32},
            {"num_key_value_heads", 16},  {"num_global_key_value_heads", 4}};
  }
  c.update(size);
  c["hidden_size_per_layer_input"] = small ? 256 : 0;
  c["attention_k_eq_v"] = !small;
  c["sliding_window"] = small ? 512 : 1024;
  c["max_position_embeddings"] = small ? 131072 : 262144;
  c["use_bidirectional_attention"] = small ? json(nullptr) : json("vision");
  if (layers > 0) c["num_hidden_layers"] = layers;
  const int period = shape == "e2b" ? 5 : 6;
  json kinds = json::array();
  for (int i = 0; i < c["num_hidden_layers"].get<int>(); ++i) {
    kinds.push_back((i + 1) % period ? "sliding_attention" : "full_attention");
  }
  c["layer_types"] = kinds;
  return c;
}

struct NamedShape {
  std::string name;
  std::vector<int64_t> shape;

  int64_t elements() const {
    int64_t n = 1;
    for (int64_t d : shape) n *= d;
    return n;
  }
};

std::vector<NamedShape> TextTensorsOf(const ModelConfig& config) {
  std::vector<NamedShape> out;
  for (int t = 0; t < kNumModelTensors; ++t) {
    const auto tensor = static_cast<ModelTensor>(t);
    if (auto shape = TensorShape(config, tensor)) out.push_back({TensorName(tensor), *shape});
  }
  for (int layer = 0; layer < config.num_layers; ++layer) {
    for (int t = 0; t < kNumLayerTensors; ++t) {
      const auto tensor = static_cast<LayerTensor>(t);
      if (auto shape = TensorShape(config, layer, tensor)) {
        out.push_back({TensorName(layer, tensor), *shape});
      }
    }
  }
  return out;
}

// bfloat16 values that keep activations of order 1: around 1 for norms and scalars, of variance
// 1 / fan-in for matrices.
class RandomWeights {
 public:
  void Fill(const NamedShape& tensor, int64_t count, std::vector<uint16_t>& out) {
    const bool vector = tensor.shape.size() == 1;
    const float width = vector ? 0.2f : std::sqrt(3.0f / static_cast<float>(tensor.shape.back()));
    for (int i = 0; i < kTableSize; ++i) {
      const float u = 2.0f * static_cast<float>(i) / (kTableSize - 1) - 1.0f;
      table_[i] = FloatToBf16((vector ? 1.0f : 0.0f) + width * u);
    }
    out.resize(static_cast<size_t>(count));
    for (uint16_t& value : out) value = table_[Next() >> (64 - kTableBits)];
  }

 private:
  uint64_t Next() {  // Marsaglia's xorshift64* (2003; Vigna 2016)
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1dull;
  }

  static constexpr int kTableBits = 12;
  static constexpr int kTableSize = 1 << kTableBits;
  uint16_t table_[kTableSize];
  uint64_t state_ = 0x9e3779b97f4a7c15ull;
};

absl::Status WriteTensors(const std::string& path, const std::vector<NamedShape>& tensors) {
  json header = {{"__metadata__", {{"format", "pt"}}}};
  int64_t offset = 0;
  for (const NamedShape& t : tensors) {
    const int64_t end = offset + 2 * t.elements();
    header[kPrefix + t.name] = {
        {"dtype", "BF16"}, {"shape", t.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), sizeof(length));
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  constexpr int64_t kChunk = int64_t{1} << 22;
  RandomWeights weights;
  std::vector<uint16_t> values;
  for (const NamedShape& t : tensors) {
    for (int64_t left = t.elements(); left > 0; left -= kChunk) {
      weights.Fill(t, std::min(left, kChunk), values);
      file.write(reinterpret_cast<const char*>(values.data()),
                 static_cast<std::streamsize>(values.size() * 2));
    }
  }
  file.close();
  if (!file) return absl::ResourceExhaustedError(absl::StrCat("cannot write ", path));
  return absl::OkStatus();
}

absl::Status Run(const std::string& shape, int layers, const std::string& out) {
  if (shape != "e2b" && shape != "e4b" && shape != "26b-a4b" && shape != "31b") {
    return absl::InvalidArgumentError(
        absl::StrCat("--shape=", shape, ": not one of e2b, e4b, 26b-a4b, 31b"));
  }
  if (out.empty()) return absl::InvalidArgumentError("--out: name a folder");
  const json document = {{"model_type", "gemma4"},
                         {"architectures", {"Gemma4ForConditionalGeneration"}},
                         {"eos_token_id", {1, 106}},
                         {"text_config", TextConfig(shape, layers)}};
  FACET_ASSIGN_OR_RETURN(const ModelConfig config, ParseModelConfig(document.dump()));
  std::error_code error;
  std::filesystem::create_directories(out, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("--out=", out, ": ", error.message()));
  std::ofstream(out + "/config.json") << document.dump(2) << "\n";
  std::ofstream(out + "/generation_config.json")
      << json{{"bos_token_id", 2}, {"pad_token_id", 0},  {"eos_token_id", {1, 106, 50}},
              {"do_sample", true}, {"temperature", 1.0}, {"top_k", 64},
              {"top_p", 0.95}}
             .dump(2)
      << "\n";
  const std::vector<NamedShape> tensors = TextTensorsOf(config);
  FACET_RETURN_IF_ERROR(WriteTensors(out + "/model.safetensors", tensors));
  std::cout << out << ": " << config.num_layers << " layers, " << tensors.size() << " tensors, "
            << TextParameterCount(config) << " parameters\n";
  return absl::OkStatus();
}

}  // namespace
}  // namespace facet

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const absl::Status status =
      facet::Run(absl::GetFlag(FLAGS_shape), absl::GetFlag(FLAGS_layers), absl::GetFlag(FLAGS_out));
  if (!status.ok()) {
    std::cerr << "make_shape_checkpoint: " << status << "\n";
    return 1;
  }
  return 0;
}
