#include "model/tensor_names.h"

#include <functional>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace facet {
namespace {

constexpr int kMaxProblemsNamed = 5;

constexpr char kWrapperPrefix[] = "model.language_model.";
constexpr char kTextOnlyPrefix[] = "model.";

// Indexed by the enums.
constexpr const char* kModelNames[] = {
    "embed_tokens.weight",
    "norm.weight",
    "lm_head.weight",
    "embed_tokens_per_layer.weight",
    "per_layer_model_projection.weight",
    "per_layer_projection_norm.weight",
};
static_assert(std::size(kModelNames) == kNumModelTensors);

struct LayerName {
  const char* name;
  const char* older = nullptr;  // an earlier name of the same tensor
};
constexpr LayerName kLayerNames[] = {
    {"input_layernorm.weight"},
    {"post_attention_layernorm.weight"},
    {"pre_feedforward_layernorm.weight"},
    {"post_feedforward_layernorm.weight"},
    {"layer_scalar"},
    {"self_attn.q_proj.weight"},
    {"self_attn.q_norm.weight"},
    {"self_attn.o_proj.weight"},
    {"self_attn.k_proj.weight"},
    {"self_attn.k_norm.weight"},
    {"self_attn.v_proj.weight"},
    {"mlp.gate_proj.weight"},
    {"mlp.up_proj.weight"},
    {"mlp.down_proj.weight"},
    {"router.proj.weight"},
    {"router.scale"},
    {"router.per_expert_scale", "moe.per_expert_scale"},
    {"experts.gate_up_proj", "moe.gate_up_proj"},
    {"experts.down_proj", "moe.down_proj"},
    {"post_feedforward_layernorm_1.weight"},
    {"pre_feedforward_layernorm_2.weight"},
    {"post_feedforward_layernorm_2.weight"},
    {"per_layer_input_gate.weight"},
    {"per_layer_projection.weight"},
    {"post_per_layer_input_norm.weight"},
};
static_assert(std::size(kLayerNames) == kNumLayerTensors);

ModelTensor ModelTensorAt(int i) { return static_cast<ModelTensor>(i); }
LayerTensor LayerTensorAt(int i) { return static_cast<LayerTensor>(i); }

bool HasTensor(const ModelConfig& config, ModelTensor tensor) {
  if (tensor == ModelTensor::kLmHead) return !config.tie_word_embeddings;
  return tensor < ModelTensor::kEmbedTokensPerLayer || config.per_layer_input_size > 0;
}

bool HasTensor(const ModelConfig& config, const LayerConfig& layer, LayerTensor tensor) {
  if (tensor == LayerTensor::kKProj || tensor == LayerTensor::kKNorm) return layer.owns_kv;
  if (tensor == LayerTensor::kVProj) return layer.owns_kv && !layer.k_eq_v;
  if (tensor < LayerTensor::kRouterProj) return true;
  if (tensor < LayerTensor::kPerLayerInputGate) return config.moe.has_value();
  return config.per_layer_input_size > 0;
}

int64_t NumElements(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>());
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

absl::StatusOr<std::string> DetectPrefix(const Checkpoint& checkpoint) {
  const std::string embedding = TensorName(ModelTensor::kEmbedTokens);
  const bool wrapper = !checkpoint.StoredType(kWrapperPrefix + embedding).empty();
  const bool text_only = !checkpoint.StoredType(kTextOnlyPrefix + embedding).empty();
  if (wrapper != text_only) return std::string(wrapper ? kWrapperPrefix : kTextOnlyPrefix);
  return absl::InvalidArgumentError(absl::StrCat(
      "the checkpoint has ", wrapper ? "both " : "neither ", kWrapperPrefix, embedding,
      wrapper ? " and " : " nor ", kTextOnlyPrefix, embedding, ", one of which is expected"));
}

// Looks tensors up and collects what is wrong with them.
class Finder {
 public:
  explicit Finder(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  // nullptr, and a problem noted, unless the tensor is there and has `shape`.
  const TensorInfo* Find(const std::string& name, const std::string& older_name,
                         const std::vector<int64_t>& shape) {
    const std::string& present = !older_name.empty() && checkpoint_.StoredType(name).empty() &&
                                         !checkpoint_.StoredType(older_name).empty()
                                     ? older_name
                                     : name;
    const std::string stored_type = checkpoint_.StoredType(present);
    const TensorInfo* tensor = checkpoint_.Find(present);
    if (stored_type.empty()) {
      AddProblem(absl::StrCat(present, " is missing"));
    } else if (tensor == nullptr) {
      AddProblem(
          absl::StrCat(present, " has type ", stored_type, ", supported are BF16, F16 and F32"));
    } else if (tensor->shape != shape) {
      AddProblem(absl::StrCat(present, " has shape ", ShapeText(tensor->shape), ", expected ",
                              ShapeText(shape)));
      return nullptr;
    }
    return tensor;
  }

  absl::Status status() const {
    if (num_problems_ == 0) return absl::OkStatus();
    std::string message = absl::StrCat("the checkpoint does not fit its config.json: ",
                                       absl::StrJoin(problems_, "; "));
    const int more = num_problems_ - static_cast<int>(problems_.size());
    if (more > 0) absl::StrAppend(&message, "; and ", more, " more tensors");
    return absl::InvalidArgumentError(message);
  }

 private:
  void AddProblem(std::string problem) {
    if (num_problems_++ < kMaxProblemsNamed) problems_.push_back(std::move(problem));
  }

  const Checkpoint& checkpoint_;
  int num_problems_ = 0;
  std::vector<std::string> problems_;
};

}  // namespace

std::string TensorName(ModelTensor tensor) { return kModelNames[static_cast<int>(tensor)]; }

std::string TensorName(int layer, LayerTensor tensor) {
  return absl::StrCat("layers.", layer, ".", kLayerNames[static_cast<int>(tensor)].name);
}

std::optional<std::vector<int64_t>> TensorShape(const ModelConfig& config, ModelTensor tensor) {
  if (!HasTensor(config, tensor)) return std::nullopt;
  using Shape = std::vector<int64_t>;
  const int64_t hidden = config.hidden_size;
  const int64_t per_layer = config.per_layer_input_size;
  const int64_t all_layers = config.num_layers * per_layer;
  switch (tensor) {
    case ModelTensor::kEmbedTokens:
    case ModelTensor::kLmHead:
      return Shape{config.vocab_size, hidden};
    case ModelTensor::kFinalNorm:
      return Shape{hidden};
    case ModelTensor::kEmbedTokensPerLayer:
      return Shape{config.per_layer_vocab_size, all_layers};
    case ModelTensor::kPerLayerModelProjection:
      return Shape{all_layers, hidden};
    case ModelTensor::kPerLayerProjectionNorm:
      return Shape{per_layer};
  }
  return std::nullopt;
}

std::optional<std::vector<int64_t>> TensorShape(const ModelConfig& config, int index,
                                                LayerTensor tensor) {
  const LayerConfig& layer = config.layers[index];
  if (!HasTensor(config, layer, tensor)) return std::nullopt;
  using Shape = std::vector<int64_t>;
  const int64_t hidden = config.hidden_size;
  const int64_t head_dim = layer.head_dim;
  const int64_t per_layer = config.per_layer_input_size;
  const MoeConfig moe = config.moe.value_or(MoeConfig{});
  switch (tensor) {
    case LayerTensor::kInputNorm:
    case LayerTensor::kPostAttentionNorm:
    case LayerTensor::kPreFeedforwardNorm:
    case LayerTensor::kPostFeedforwardNorm:
    case LayerTensor::kPostFeedforwardNorm1:
    case LayerTensor::kPreFeedforwardNorm2:
    case LayerTensor::kPostFeedforwardNorm2:
    case LayerTensor::kPostPerLayerInputNorm:
    case LayerTensor::kRouterScale:
      return Shape{hidden};
    case LayerTensor::kLayerScalar:
      return Shape{1};
    case LayerTensor::kQProj:
      return Shape{config.num_query_heads * head_dim, hidden};
    case LayerTensor::kOProj:
      return Shape{hidden, config.num_query_heads * head_dim};
    case LayerTensor::kKProj:
    case LayerTensor::kVProj:
      return Shape{layer.num_kv_heads * head_dim, hidden};
    case LayerTensor::kQNorm:
    case LayerTensor::kKNorm:
      return Shape{head_dim};
    case LayerTensor::kGateProj:
    case LayerTensor::kUpProj:
      return Shape{layer.intermediate_size, hidden};
    case LayerTensor::kDownProj:
      return Shape{hidden, layer.intermediate_size};
    case LayerTensor::kRouterProj:
      return Shape{moe.num_experts, hidden};
    case LayerTensor::kRouterPerExpertScale:
      return Shape{moe.num_experts};
    case LayerTensor::kExpertsGateUp:
      return Shape{moe.num_experts, 2 * moe.intermediate_size, hidden};
    case LayerTensor::kExpertsDown:
      return Shape{moe.num_experts, hidden, moe.intermediate_size};
    case LayerTensor::kPerLayerInputGate:
      return Shape{per_layer, hidden};
    case LayerTensor::kPerLayerProjection:
      return Shape{hidden, per_layer};
  }
  return std::nullopt;
}

int64_t TextParameterCount(const ModelConfig& config) {
  int64_t count = 0;
  for (int t = 0; t < kNumModelTensors; ++t) {
    const auto shape = TensorShape(config, ModelTensorAt(t));
    if (shape.has_value()) count += NumElements(*shape);
  }
  for (int i = 0; i < config.num_layers; ++i) {
    for (int t = 0; t < kNumLayerTensors; ++t) {
      const auto shape = TensorShape(config, i, LayerTensorAt(t));
      if (shape.has_value()) count += NumElements(*shape);
    }
  }
  return count;
}

absl::StatusOr<TextTensors> TextTensors::Detect(const Checkpoint& checkpoint,
                                                const ModelConfig& config) {
  TextTensors tensors;
  FACET_ASSIGN_OR_RETURN(tensors.prefix_, DetectPrefix(checkpoint));
  Finder finder(checkpoint);
  for (int t = 0; t < kNumModelTensors; ++t) {
    const auto shape = TensorShape(config, ModelTensorAt(t));
    if (!shape.has_value()) continue;
    const bool bare = ModelTensorAt(t) == ModelTensor::kLmHead;
    tensors.model_[t] = finder.Find((bare ? "" : tensors.prefix_) + kModelNames[t], "", *shape);
  }
  tensors.layers_.resize(config.num_layers);
  for (int i = 0; i < config.num_layers; ++i) {
    const std::string layer = absl::StrCat(tensors.prefix_, "layers.", i, ".");
    for (int t = 0; t < kNumLayerTensors; ++t) {
      const auto shape = TensorShape(config, i, LayerTensorAt(t));
      if (!shape.has_value()) continue;
      const LayerName& name = kLayerNames[t];
      tensors.layers_[i][t] =
          finder.Find(layer + name.name, name.older == nullptr ? "" : layer + name.older, *shape);
    }
  }
  FACET_RETURN_IF_ERROR(finder.status());
  return tensors;
}

const TensorInfo* TextTensors::Find(ModelTensor tensor) const {
  return model_[static_cast<size_t>(tensor)];
}

const TensorInfo* TextTensors::Find(int layer, LayerTensor tensor) const {
  FACET_CHECK(layer >= 0 && layer < static_cast<int>(layers_.size())) << layer;
  return layers_[layer][static_cast<size_t>(tensor)];
}

const TensorInfo& TextTensors::Model(ModelTensor tensor) const {
  const TensorInfo* info = Find(tensor);
  FACET_CHECK(info != nullptr) << "this model has no " << TensorName(tensor);
  return *info;
}

const TensorInfo& TextTensors::Layer(int layer, LayerTensor tensor) const {
  const TensorInfo* info = Find(layer, tensor);
  FACET_CHECK(info != nullptr) << "this model has no " << TensorName(layer, tensor);
  return *info;
}

const TensorInfo& TextTensors::Head() const {
  const TensorInfo* untied = Find(ModelTensor::kLmHead);
  return untied != nullptr ? *untied : Model(ModelTensor::kEmbedTokens);
}

absl::Status ValidateCheckpoint(const Checkpoint& checkpoint, const ModelConfig& config) {
  return TextTensors::Detect(checkpoint, config).status();
}

}  // namespace facet
