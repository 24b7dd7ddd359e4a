#include "shard/transformer/scratch.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/status_macros.h"

namespace facet {
namespace {

struct Entry {
  Buffer Scratch::*buffer;
  int64_t floats;
};

// The widest layer's columns of each buffer.
struct Widths {
  int64_t query = 0;
  int64_t qkv = 0;
  int64_t mlp = 0;
  int64_t global_head = 0;
  int64_t sliding_head = 0;
};

Widths WidestOf(const ModelConfig& config, const SlicePlan& slice) {
  Widths w;
  for (int i = 0; i < config.num_layers; ++i) {
    const LayerConfig& layer = config.layers[i];
    const LayerSlice& part = slice.layers[i];
    const int64_t query = part.query_heads.count * layer.head_dim;
    const int64_t kv = layer.owns_kv ? part.kv_heads.count * layer.head_dim : 0;
    w.query = std::max(w.query, query);
    w.qkv = std::max(w.qkv, query + 2 * kv);
    w.mlp = std::max(w.mlp, part.mlp_columns.count);
    int64_t& head = layer.kind == AttentionKind::kGlobal ? w.global_head : w.sliding_head;
    head = std::max<int64_t>(head, layer.head_dim);
  }
  return w;
}

std::vector<Entry> Entries(const ModelConfig& config, const SlicePlan& slice,
                           const ScratchLimits& limits) {
  const Widths w = WidestOf(config, slice);
  const int64_t tokens = limits.max_step_tokens;
  const int64_t rows = std::min(limits.max_logit_rows, limits.max_step_tokens);
  const int64_t hidden = config.hidden_size;
  std::vector<Entry> out = {
      {&Scratch::residual, tokens * hidden},
      {&Scratch::normed, tokens * hidden},
      {&Scratch::rotary_global, tokens * w.global_head},
      {&Scratch::rotary_sliding, tokens * w.sliding_head},
      {&Scratch::qkv, tokens * w.qkv},
      {&Scratch::attention, tokens * w.query},
      {&Scratch::gate_up, tokens * 2 * w.mlp},
      {&Scratch::partial, tokens * hidden * (config.moe.has_value() ? 2 : 1)},
      {&Scratch::kept_residual, rows * hidden},
      {&Scratch::kept_query, rows * w.query},
      {&Scratch::hidden, rows * hidden},
      {&Scratch::local_logits, rows * WidestVocabularySlice(config, slice)},
  };
  if (config.moe.has_value()) {
    out.push_back({&Scratch::router_input, tokens * hidden});
    out.push_back({&Scratch::router_logits, tokens * config.moe->num_experts});
  }
  if (const int64_t p = config.per_layer_input_size; p > 0) {
    const int64_t last_owning = config.num_owning_layers - 1;
    out.push_back({&Scratch::per_layer, tokens * config.num_layers * p});
    out.push_back({&Scratch::per_layer_token, tokens * config.num_layers * p});
    out.push_back({&Scratch::per_layer_gate, tokens * p});
    out.push_back({&Scratch::kept_per_layer, rows * (config.num_layers - last_owning) * p});
  }
  if (slice.world_size > 1) {
    out.push_back({&Scratch::gathered_logits,
                   slice.world_size * rows * WidestVocabularySlice(config, slice)});
    if (slice.rank == 0) out.push_back({&Scratch::logits, rows * config.vocab_size});
  }
  return out;
}

}  // namespace

int64_t WidestVocabularySlice(const ModelConfig& config, const SlicePlan& slice) {
  return EvenSplit(config.vocab_size, slice.world_size, 0).count;
}

absl::StatusOr<Scratch> Scratch::Create(const ModelConfig& config, const SlicePlan& slice,
                                        const ScratchLimits& limits, Backend& backend) {
  Scratch scratch;
  for (const Entry& entry : Entries(config, slice, limits)) {
    FACET_ASSIGN_OR_RETURN(scratch.*entry.buffer,
                           backend.Allocate(static_cast<size_t>(entry.floats) * sizeof(float)));
  }
  return scratch;
}

int64_t Scratch::Bytes(const ModelConfig& config, const SlicePlan& slice,
                       const ScratchLimits& limits) {
  int64_t bytes = 0;
  for (const Entry& entry : Entries(config, slice, limits)) {
    bytes += entry.floats * static_cast<int64_t>(sizeof(float));
  }
  return bytes;
}

}  // namespace facet
