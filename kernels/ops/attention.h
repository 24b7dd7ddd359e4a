#ifndef FACET_KERNELS_OPS_ATTENTION_H_
#define FACET_KERNELS_OPS_ATTENTION_H_

#include "absl/types/span.h"
#include "kernels/backend.h"
#include "kernels/kv_pages.h"
#include "kernels/tensor.h"

namespace facet::ops {

// Writes the rows' finished K and V into their pages, rounded to the pages' dtype: each (position,
// KV head) by itself.
// Shapes: k, v [tokens, kv_heads * head_dim] f32.
void StoreKv(Backend& backend, const Tensor& k, const Tensor& v,
             absl::Span<const AttentionSequence> sequences, const KvPages& pages);

// Copies page `from` over page `to`, K and V, in each of the layers.
void CopyKvPage(Backend& backend, absl::Span<const KvPages> layers, int from, int to);

// Causal attention over the pages, scale 1 (Gemma 4 scales nothing), softmax in float32:
//   out[t, h] = sum_s softmax_s(q[t, h] . k[s, h / (Hq/Hkv)]) v[s, h / (Hq/Hkv)]
// over s <= p (or s < the row's visible_end), and s > p - window when window > 0, p the row's
// position.
// Shapes: q, out [tokens, query_heads * head_dim] f32, not overlapping; query_heads is a multiple
// of pages.kv_heads. A row's result depends only on its position and its keys (fixed tiles of
// absolute positions, reduced in order), not on the chunk, the batch or the page ids.
void PagedAttention(Backend& backend, const Tensor& q, const KvPages& pages,
                    absl::Span<const AttentionSequence> sequences, int window, const Tensor& out);

}  // namespace facet::ops

#endif  // FACET_KERNELS_OPS_ATTENTION_H_
