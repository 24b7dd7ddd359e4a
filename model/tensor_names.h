#ifndef FACET_MODEL_TENSOR_NAMES_H_
#define FACET_MODEL_TENSOR_NAMES_H_

// Which tensors the text model of each variant has, what they are called and shaped, and where a
// given checkpoint keeps them.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/checkpoint.h"
#include "model/config.h"

namespace facet {

// H hidden size, V vocabulary, L layers, P per-layer input size; of a layer: Hq query heads, Hkv KV
// heads, D head dim, I MLP width, E experts, M expert width. A matrix [out, in] is applied as
// y = x @ W^T.

// Tensors that belong to no layer.
enum class ModelTensor {
  kEmbedTokens,              // [V, H]
  kFinalNorm,                // [H]
  kLmHead,                   // [V, H], only when embeddings and head are not tied
  kEmbedTokensPerLayer,      // [V', L P], only when P > 0; V' = per_layer_vocab_size
  kPerLayerModelProjection,  // [L P, H], only when P > 0
  kPerLayerProjectionNorm,   // [P], only when P > 0
};
inline constexpr int kNumModelTensors = 6;

enum class LayerTensor {
  kInputNorm,            // [H]
  kPostAttentionNorm,    // [H]
  kPreFeedforwardNorm,   // [H]
  kPostFeedforwardNorm,  // [H]
  kLayerScalar,          // [1]
  kQProj,                // [Hq D, H]
  kQNorm,                // [D]
  kOProj,                // [H, Hq D]
  kKProj,                // [Hkv D, H], owning layers
  kKNorm,                // [D], owning layers
  kVProj,                // [Hkv D, H], owning layers without k_eq_v
  kGateProj,             // [I, H]
  kUpProj,               // [I, H]
  kDownProj,             // [H, I]
  // Mixture of experts.
  kRouterProj,            // [E, H]
  kRouterScale,           // [H]
  kRouterPerExpertScale,  // [E]
  kExpertsGateUp,         // [E, 2 M, H]; of each expert rows [0, M) gate, [M, 2 M) up
  kExpertsDown,           // [E, H, M]
  kPostFeedforwardNorm1,  // [H], after the dense branch
  kPreFeedforwardNorm2,   // [H], before the experts
  kPostFeedforwardNorm2,  // [H], after the experts
  // Per-layer inputs, only when P > 0.
  kPerLayerInputGate,      // [P, H]
  kPerLayerProjection,     // [H, P]
  kPostPerLayerInputNorm,  // [H]
};
inline constexpr int kNumLayerTensors = 25;

// A tensor's name without the checkpoint's prefix, e.g. "layers.3.self_attn.q_proj.weight". The
// name of kLmHead never has a prefix.
std::string TensorName(ModelTensor tensor);
std::string TensorName(int layer, LayerTensor tensor);

// The shapes above for `config`; nullopt if this model, or this layer of it, has no such tensor.
std::optional<std::vector<int64_t>> TensorShape(const ModelConfig& config, ModelTensor tensor);
std::optional<std::vector<int64_t>> TensorShape(const ModelConfig& config, int layer,
                                                LayerTensor tensor);

// Number of weights of the text model (a tied head counts once).
int64_t TextParameterCount(const ModelConfig& config);

// The text tensors of one checkpoint, all found and of the right shape. Keeps pointers into the
// Checkpoint, which must outlive it. Thread-safe: immutable.
//
// Tensors that the model does not use are ignored: vision and audio, the head of a tied model, and
// K/V weights of layers that share another layer's K/V (trained leftovers in released files).
class TextTensors {
 public:
  // InvalidArgument names the first few tensors that are missing, misshapen or of a type that is
  // not supported, and says how many there are.
  static absl::StatusOr<TextTensors> Detect(const Checkpoint& checkpoint,
                                            const ModelConfig& config);

  // "model.language_model." (multimodal checkpoints) or "model." (text-only ones).
  const std::string& prefix() const { return prefix_; }

  // nullptr: this model, or this layer of it, has no such tensor.
  const TensorInfo* Find(ModelTensor tensor) const;
  const TensorInfo* Find(int layer, LayerTensor tensor) const;

  // As Find, for tensors that must be there: ends the process if this model has none.
  const TensorInfo& Model(ModelTensor tensor) const;
  const TensorInfo& Layer(int layer, LayerTensor tensor) const;

  // The output head [V, H]: lm_head, or the embedding when they are tied.
  const TensorInfo& Head() const;

 private:
  TextTensors() = default;

  std::string prefix_;
  std::array<const TensorInfo*, kNumModelTensors> model_ = {};
  std::vector<std::array<const TensorInfo*, kNumLayerTensors>> layers_;
};

// Whether `checkpoint` has every tensor that `config` asks for, as TextTensors::Detect.
absl::Status ValidateCheckpoint(const Checkpoint& checkpoint, const ModelConfig& config);

}  // namespace facet

#endif  // FACET_MODEL_TENSOR_NAMES_H_
