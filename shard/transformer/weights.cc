#include "shard/transformer/weights.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "shard/transformer/weight_blocks.h"

namespace facet {
namespace {

// Reads the tensors of one checkpoint into the memory of one backend.
class Loader {
 public:
  Loader(const ModelConfig& config, const TextTensors& tensors, const SlicePlan& slice,
         ComputeMode mode, Backend& backend)
      : config_(config), tensors_(tensors), slice_(slice), mode_(mode), backend_(backend) {}

  absl::StatusOr<EmbeddingWeights> LoadEmbedding() const;
  absl::StatusOr<LayerWeights> LoadLayer(int i) const;
  absl::StatusOr<HeadWeights> LoadHead() const;

 private:
  absl::StatusOr<AttentionWeights> LoadAttention(int i) const;
  absl::StatusOr<MlpWeights> LoadMlp(int i) const;
  absl::StatusOr<MoeWeights> LoadMoe(int i) const;
  absl::Status LoadExperts(int i, MoeWeights& moe) const;
  absl::StatusOr<PerLayerInputWeights> LoadPerLayerInput(int i) const;

  absl::StatusOr<WeightMatrix> Pack(absl::Span<const WeightBlock> blocks,
                                    bool exact = false) const {
    // Stacked blocks of different types: the wider one holds both exactly.
    DType stored = blocks[0].dtype;
    for (const WeightBlock& block : blocks) {
      if (block.dtype != DType::kBF16) stored = block.dtype;
    }
    return WeightMatrix::Pack(backend_, blocks, FormatOf(mode_, stored, exact));
  }
  WeightBlock Matrix(int i, LayerTensor tensor) const {
    return WholeMatrix(tensors_.Layer(i, tensor));
  }
  absl::StatusOr<DeviceVector> Vector(const TensorInfo& tensor, float scale = 1) const {
    std::vector<float> values = ReadFloats(tensor);
    for (float& x : values) x *= scale;
    return DeviceVector::Upload(backend_, values);
  }
  absl::StatusOr<DeviceVector> Vector(int i, LayerTensor tensor, float scale = 1) const {
    return Vector(tensors_.Layer(i, tensor), scale);
  }
  // sqrt(size) as the reference multiplies by it: in the type of the weights.
  float EmbeddingScale(int size) const {
    const auto scale = static_cast<float>(std::sqrt(static_cast<double>(size)));
    return mode_ == ComputeMode::kBF16 ? Bf16ToFloat(FloatToBf16(scale)) : scale;
  }

  const ModelConfig& config_;
  const TextTensors& tensors_;
  const SlicePlan& slice_;
  const ComputeMode mode_;
  Backend& backend_;
};

// Rows, or columns, of a projection that belong to `heads`.
IndexRange OfHeads(const IndexRange& heads, int head_dim) {
  return {heads.begin * head_dim, heads.count * head_dim};
}

absl::StatusOr<EmbeddingWeights> Loader::LoadEmbedding() const {
  EmbeddingWeights out;
  out.tokens = WholeMatrix(tensors_.Model(ModelTensor::kEmbedTokens));
  out.token_scale = EmbeddingScale(config_.hidden_size);
  if (config_.per_layer_input_size == 0) return out;
  out.per_layer = WholeMatrix(tensors_.Model(ModelTensor::kEmbedTokensPerLayer));
  out.per_layer_scale = EmbeddingScale(config_.per_layer_input_size);
  FACET_ASSIGN_OR_RETURN(
      out.per_layer_projection,
      Pack({WholeMatrix(tensors_.Model(ModelTensor::kPerLayerModelProjection))}));
  FACET_ASSIGN_OR_RETURN(out.per_layer_norm,
                         Vector(tensors_.Model(ModelTensor::kPerLayerProjectionNorm)));
  return out;
}

absl::StatusOr<HeadWeights> Loader::LoadHead() const {
  HeadWeights out;
  FACET_ASSIGN_OR_RETURN(out.norm, Vector(tensors_.Model(ModelTensor::kFinalNorm)));
  FACET_ASSIGN_OR_RETURN(out.logits, Pack({Rows(WholeMatrix(tensors_.Head()), slice_.vocabulary)}));
  return out;
}

absl::StatusOr<AttentionWeights> Loader::LoadAttention(int i) const {
  const LayerConfig& layer = config_.layers[i];
  const IndexRange q = OfHeads(slice_.layers[i].query_heads, layer.head_dim);
  const IndexRange kv = OfHeads(slice_.layers[i].kv_heads, layer.head_dim);
  AttentionWeights out;
  std::vector<WeightBlock> blocks = {Rows(Matrix(i, LayerTensor::kQProj), q)};
  if (layer.owns_kv) {
    blocks.push_back(Rows(Matrix(i, LayerTensor::kKProj), kv));
    if (!layer.k_eq_v) blocks.push_back(Rows(Matrix(i, LayerTensor::kVProj), kv));
    FACET_ASSIGN_OR_RETURN(out.k_norm, Vector(i, LayerTensor::kKNorm));
  }
  FACET_ASSIGN_OR_RETURN(out.qkv, Pack(blocks));
  FACET_ASSIGN_OR_RETURN(out.output, Pack({Columns(Matrix(i, LayerTensor::kOProj), q)}));
  FACET_ASSIGN_OR_RETURN(out.q_norm, Vector(i, LayerTensor::kQNorm));
  return out;
}

absl::StatusOr<MlpWeights> Loader::LoadMlp(int i) const {
  const IndexRange& columns = slice_.layers[i].mlp_columns;
  MlpWeights out;
  FACET_ASSIGN_OR_RETURN(out.gate_up, Pack({Rows(Matrix(i, LayerTensor::kGateProj), columns),
                                            Rows(Matrix(i, LayerTensor::kUpProj), columns)}));
  FACET_ASSIGN_OR_RETURN(out.down, Pack({Columns(Matrix(i, LayerTensor::kDownProj), columns)}));
  return out;
}

absl::Status Loader::LoadExperts(int i, MoeWeights& moe) const {
  const TensorInfo& gate_up = tensors_.Layer(i, LayerTensor::kExpertsGateUp);
  const TensorInfo& down = tensors_.Layer(i, LayerTensor::kExpertsDown);
  const IndexRange& gate = slice_.expert_columns;
  const IndexRange up = {config_.moe->intermediate_size + gate.begin, gate.count};
  for (int64_t e = slice_.experts.begin; e < slice_.experts.end(); ++e) {
    const WeightBlock both = MatrixAt(gate_up, e);
    FACET_ASSIGN_OR_RETURN(WeightMatrix matrix, Pack({Rows(both, gate), Rows(both, up)}));
    moe.gate_up.push_back(std::move(matrix));
    FACET_ASSIGN_OR_RETURN(matrix, Pack({Columns(MatrixAt(down, e), slice_.expert_columns)}));
    moe.down.push_back(std::move(matrix));
  }
  return absl::OkStatus();
}

absl::StatusOr<MoeWeights> Loader::LoadMoe(int i) const {
  MoeWeights out;
  FACET_ASSIGN_OR_RETURN(out.router, Pack({Matrix(i, LayerTensor::kRouterProj)}, /*exact=*/true));
  const float scale = 1.0f / std::sqrt(static_cast<float>(config_.hidden_size));
  FACET_ASSIGN_OR_RETURN(out.router_scale, Vector(i, LayerTensor::kRouterScale, scale));
  out.per_expert_scale = ReadFloats(tensors_.Layer(i, LayerTensor::kRouterPerExpertScale));
  FACET_RETURN_IF_ERROR(LoadExperts(i, out));
  FACET_ASSIGN_OR_RETURN(out.dense_post_norm, Vector(i, LayerTensor::kPostFeedforwardNorm1));
  FACET_ASSIGN_OR_RETURN(out.pre_norm, Vector(i, LayerTensor::kPreFeedforwardNorm2));
  FACET_ASSIGN_OR_RETURN(out.post_norm, Vector(i, LayerTensor::kPostFeedforwardNorm2));
  return out;
}

absl::StatusOr<PerLayerInputWeights> Loader::LoadPerLayerInput(int i) const {
  PerLayerInputWeights out;
  FACET_ASSIGN_OR_RETURN(out.gate, Pack({Matrix(i, LayerTensor::kPerLayerInputGate)}));
  FACET_ASSIGN_OR_RETURN(out.projection, Pack({Matrix(i, LayerTensor::kPerLayerProjection)}));
  FACET_ASSIGN_OR_RETURN(out.post_norm, Vector(i, LayerTensor::kPostPerLayerInputNorm));
  return out;
}

absl::StatusOr<LayerWeights> Loader::LoadLayer(int i) const {
  LayerWeights out;
  FACET_ASSIGN_OR_RETURN(out.input_norm, Vector(i, LayerTensor::kInputNorm));
  FACET_ASSIGN_OR_RETURN(out.post_attention_norm, Vector(i, LayerTensor::kPostAttentionNorm));
  FACET_ASSIGN_OR_RETURN(out.pre_feedforward_norm, Vector(i, LayerTensor::kPreFeedforwardNorm));
  FACET_ASSIGN_OR_RETURN(out.post_feedforward_norm, Vector(i, LayerTensor::kPostFeedforwardNorm));
  out.layer_scalar = ReadFloats(tensors_.Layer(i, LayerTensor::kLayerScalar))[0];
  FACET_ASSIGN_OR_RETURN(out.attention, LoadAttention(i));
  FACET_ASSIGN_OR_RETURN(out.mlp, LoadMlp(i));
  if (config_.moe.has_value()) {
    FACET_ASSIGN_OR_RETURN(out.moe, LoadMoe(i));
  }
  if (config_.per_layer_input_size > 0) {
    FACET_ASSIGN_OR_RETURN(out.per_layer_input, LoadPerLayerInput(i));
  }
  return out;
}

int64_t MoeBytes(const MoeWeights& moe) {
  int64_t bytes = moe.router.bytes() + moe.router_scale.bytes() + moe.dense_post_norm.bytes() +
                  moe.pre_norm.bytes() + moe.post_norm.bytes();
  for (const WeightMatrix& matrix : moe.gate_up) bytes += matrix.bytes();
  for (const WeightMatrix& matrix : moe.down) bytes += matrix.bytes();
  return bytes;
}

int64_t LayerBytes(const LayerWeights& layer) {
  int64_t bytes = layer.input_norm.bytes() + layer.post_attention_norm.bytes() +
                  layer.pre_feedforward_norm.bytes() + layer.post_feedforward_norm.bytes();
  bytes += layer.attention.qkv.bytes() + layer.attention.output.bytes() +
           layer.attention.q_norm.bytes() + layer.attention.k_norm.bytes();
  bytes += layer.mlp.gate_up.bytes() + layer.mlp.down.bytes();
  if (layer.moe.has_value()) bytes += MoeBytes(*layer.moe);
  if (layer.per_layer_input.has_value()) {
    bytes += layer.per_layer_input->gate.bytes() + layer.per_layer_input->projection.bytes() +
             layer.per_layer_input->post_norm.bytes();
  }
  return bytes;
}

}  // namespace

WeightFormat FormatOf(ComputeMode mode, DType stored, bool exact) {
  if (mode == ComputeMode::kBF16 && !exact) return WeightFormat::kBF16Dot;
  return stored == DType::kBF16 ? WeightFormat::kBF16 : WeightFormat::kF32;
}

absl::StatusOr<TransformerWeights> TransformerWeights::Load(const ModelConfig& config,
                                                            const Checkpoint& checkpoint,
                                                            const SlicePlan& slice,
                                                            ComputeMode mode, Backend& backend) {
  FACET_ASSIGN_OR_RETURN(const TextTensors tensors, TextTensors::Detect(checkpoint, config));
  const Loader loader(config, tensors, slice, mode, backend);
  TransformerWeights out;
  FACET_ASSIGN_OR_RETURN(out.embedding_, loader.LoadEmbedding());
  for (int i = 0; i < config.num_layers; ++i) {
    FACET_ASSIGN_OR_RETURN(LayerWeights layer, loader.LoadLayer(i));
    out.layers_.push_back(std::move(layer));
  }
  FACET_ASSIGN_OR_RETURN(out.head_, loader.LoadHead());
  return out;
}

int64_t TransformerWeights::bytes() const {
  int64_t bytes = embedding_.per_layer_projection.bytes() + embedding_.per_layer_norm.bytes() +
                  head_.norm.bytes() + head_.logits.bytes();
  for (const LayerWeights& layer : layers_) bytes += LayerBytes(layer);
  return bytes;
}

}  // namespace facet
