#ifndef FACET_KERNELS_KV_PAGES_H_
#define FACET_KERNELS_KV_PAGES_H_

// The paged KV cache of one layer on one rank, as the attention op sees it.

#include <cstdint>

#include "absl/types/span.h"
#include "base/dtype.h"

namespace facet {

// Pages of `page_tokens` consecutive positions. Element (page, head, token, dim) of K or V is at
// ((page * kv_heads + head) * page_tokens + token) * head_dim + dim. Non-owning.
struct KvPages {
  void* k = nullptr;
  void* v = nullptr;
  DType dtype = DType::kF32;  // kF32 or kBF16
  int num_pages = 0;
  int kv_heads = 0;
  int page_tokens = 0;
  int head_dim = 0;
};

// The rows of one sequence within a step's [tokens, ...] tensors.
struct AttentionSequence {
  int64_t first_row = 0;
  int64_t num_rows = 0;
  int64_t start_position = 0;  // of the first row; the others follow on
  // Page of each `page_tokens` positions from 0 on; -1 where the window has passed and the page was
  // given back. Must reach the last row's position.
  absl::Span<const int32_t> pages;
};

}  // namespace facet

#endif  // FACET_KERNELS_KV_PAGES_H_
