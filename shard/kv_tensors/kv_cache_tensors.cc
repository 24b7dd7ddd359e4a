#include "shard/kv_tensors/kv_cache_tensors.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/ops/attention.h"

namespace facet {
namespace {

// Bytes of K, or of V, of one page of one layer.
int64_t LayerPageBytes(const LayerConfig& layer, const LayerSlice& slice, int page_tokens,
                       DType dtype) {
  return slice.kv_heads.count * page_tokens * KvRowBytes(dtype, layer.head_dim);
}

absl::Status CheckPool(const ModelConfig& config, AttentionKind kind, int pages) {
  if (pages >= (HasKvOfKind(config, kind) ? 1 : 0)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a KV pool of ", pages, " pages for the layers of ", Name(kind)));
}

absl::Status CheckOptions(const ModelConfig& config, const KvTensorOptions& options) {
  if (options.page_tokens < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("a KV page of ", options.page_tokens, " tokens"));
  }
  if (!IsKvType(options.dtype)) {
    return absl::InvalidArgumentError(
        absl::StrCat("KV pages of ", Name(options.dtype), "; possible are f32, bf16, int8, fp8"));
  }
  FACET_RETURN_IF_ERROR(CheckPool(config, AttentionKind::kGlobal, options.global_pages));
  return CheckPool(config, AttentionKind::kSliding, options.sliding_pages);
}

}  // namespace

bool HasKvOfKind(const ModelConfig& config, AttentionKind kind) {
  for (const LayerConfig& layer : config.layers) {
    if (layer.owns_kv && layer.kind == kind) return true;
  }
  return false;
}

int64_t KvBytesPerPage(const ModelConfig& config, const SlicePlan& slice, AttentionKind kind,
                       int page_tokens, DType dtype) {
  int64_t bytes = 0;
  for (int i = 0; i < config.num_layers; ++i) {
    const LayerConfig& layer = config.layers[i];
    if (!layer.owns_kv || layer.kind != kind) continue;
    bytes += 2 * LayerPageBytes(layer, slice.layers[i], page_tokens, dtype);
  }
  return bytes;
}

absl::StatusOr<KvCacheTensors> KvCacheTensors::Create(const ModelConfig& config,
                                                      const SlicePlan& slice,
                                                      const KvTensorOptions& options,
                                                      Backend& backend) {
  FACET_RETURN_IF_ERROR(CheckOptions(config, options));
  KvCacheTensors cache;
  cache.options_ = options;
  cache.backend_ = &backend;
  for (int i = 0; i < config.num_layers; ++i) {
    const LayerConfig& layer = config.layers[i];
    if (!layer.owns_kv) {
      const KvPages source = cache.layers_[layer.kv_source];
      cache.layers_.push_back(source);
      continue;
    }
    KvPages pages;
    pages.dtype = options.dtype;
    pages.num_pages =
        layer.kind == AttentionKind::kGlobal ? options.global_pages : options.sliding_pages;
    pages.kv_heads = static_cast<int>(slice.layers[i].kv_heads.count);
    pages.page_tokens = options.page_tokens;
    pages.head_dim = layer.head_dim;
    const int64_t bytes = pages.num_pages * LayerPageBytes(layer, slice.layers[i],
                                                           options.page_tokens, options.dtype);
    for (void** data : {&pages.k, &pages.v}) {
      FACET_ASSIGN_OR_RETURN(Buffer buffer, backend.Allocate(bytes));
      *data = buffer.data();
      cache.bytes_ += bytes;
      cache.buffers_.push_back(std::move(buffer));
    }
    cache.layers_.push_back(pages);
    (layer.kind == AttentionKind::kGlobal ? cache.global_ : cache.sliding_).push_back(pages);
  }
  return cache;
}

void KvCacheTensors::CopyPage(AttentionKind kind, int from, int to) const {
  ops::CopyKvPage(*backend_, kind == AttentionKind::kGlobal ? global_ : sliding_, from, to);
}

}  // namespace facet
