#ifndef FACET_SHARD_KV_TENSORS_KV_CACHE_TENSORS_H_
#define FACET_SHARD_KV_TENSORS_KV_CACHE_TENSORS_H_

// The memory behind the KV page ids of a step plan, on one rank.
//
// There are two pools of ids, of global and of sliding layers. A page of a pool holds page_tokens
// consecutive positions of one sequence in every layer of that kind that owns K/V, for the KV heads
// of this rank; layers that share another layer's K/V own no memory.

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "base/dtype.h"
#include "kernels/backend.h"
#include "kernels/kv_pages.h"
#include "model/config.h"
#include "shard/slicing/slice_plan.h"

namespace facet {

struct KvTensorOptions {
  int page_tokens = 16;
  DType dtype = DType::kF32;  // one of IsKvType
  int global_pages = 0;       // may be 0 only where no layer owns K/V of that kind
  int sliding_pages = 0;
};

// Bytes of one page of the pool of `kind`, K and V, over all owning layers, on one rank.
int64_t KvBytesPerPage(const ModelConfig& config, const SlicePlan& slice, AttentionKind kind,
                       int page_tokens, DType dtype);

// Whether any layer owns K/V of that kind, so that its pool is needed.
bool HasKvOfKind(const ModelConfig& config, AttentionKind kind);

// Owns the pages; hands out views. Thread-compatible. The backend must outlive it.
class KvCacheTensors {
 public:
  // InvalidArgument on options out of range; ResourceExhausted without memory.
  static absl::StatusOr<KvCacheTensors> Create(const ModelConfig& config, const SlicePlan& slice,
                                               const KvTensorOptions& options, Backend& backend);

  // The pages that layer `i` attends to: its own, or its source's.
  const KvPages& layer(int i) const { return layers_[i]; }

  // Copies page `from` of the pool of `kind` over page `to`, in every layer that owns K/V of it.
  // Both must exist.
  void CopyPage(AttentionKind kind, int from, int to) const;

  const KvTensorOptions& options() const { return options_; }
  int64_t bytes() const { return bytes_; }

 private:
  KvCacheTensors() = default;

  KvTensorOptions options_;
  Backend* backend_ = nullptr;
  int64_t bytes_ = 0;
  std::vector<Buffer> buffers_;  // K and V of each owning layer
  std::vector<KvPages> layers_;
  std::vector<KvPages> global_;  // of the owning layers alone, by kind
  std::vector<KvPages> sliding_;
};

}  // namespace facet

#endif  // FACET_SHARD_KV_TENSORS_KV_CACHE_TENSORS_H_
