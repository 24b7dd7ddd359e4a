#ifndef FACET_KERNELS_KV_PAGES_H_
#define FACET_KERNELS_KV_PAGES_H_

// The paged KV cache of one layer on one rank, as the attention op sees it.

#include <cstdint>

#include "absl/types/span.h"
#include "base/dtype.h"

namespace facet {

// Bytes of one row: the `head_dim` elements of one position and KV head, and behind them, for the
// types that need one (see IsScaled), a float32 scale by which they count. The scale is the row's
// alone, so that what is stored for a position does not depend on its neighbours.
inline int64_t KvRowBytes(DType dtype, int head_dim) {
  return head_dim * static_cast<int64_t>(SizeOf(dtype)) + (IsScaled(dtype) ? 4 : 0);
}

// Whether keys and values can be kept in that type.
inline bool IsKvType(DType dtype) { return dtype != DType::kF16; }

// Pages of `page_tokens` consecutive positions. The row of (page, head, token) of K or V is number
// (page * kv_heads + head) * page_tokens + token, without gaps in between. Non-owning.
struct KvPages {
  void* k = nullptr;
  void* v = nullptr;
  DType dtype = DType::kF32;  // one of IsKvType
  int num_pages = 0;
  int kv_heads = 0;
  int page_tokens = 0;
  int head_dim = 0;

  int64_t row_bytes() const { return KvRowBytes(dtype, head_dim); }
  // Of one page of K, or of V.
  int64_t page_bytes() const { return int64_t{kv_heads} * page_tokens * row_bytes(); }
};

// The rows of one sequence within a step's [tokens, ...] tensors.
struct AttentionSequence {
  int64_t first_row = 0;
  int64_t num_rows = 0;
  int64_t start_position = 0;  // of the first row; the others follow on
  // Page of each `page_tokens` positions from 0 on; -1 where the window has passed and the page was
  // given back. Must reach the last key that a row sees.
  absl::Span<const int32_t> pages;
  // By row: the row sees keys at positions below this, later ones than its own among them (the
  // patches of an image see each other). At least the row's position + 1, never decreasing. Empty:
  // each row sees what is up to itself.
  absl::Span<const int32_t> visible_end;

  int64_t VisibleEnd(int64_t row) const {
    return visible_end.empty() ? start_position + row + 1 : visible_end[static_cast<size_t>(row)];
  }
};

}  // namespace facet

#endif  // FACET_KERNELS_KV_PAGES_H_
