#ifndef FACET_KERNELS_OPS_EMBEDDING_H_
#define FACET_KERNELS_OPS_EMBEDDING_H_

#include <cstdint>

#include "absl/types/span.h"
#include "kernels/backend.h"
#include "kernels/tensor.h"
#include "kernels/weight_matrix.h"

namespace facet::ops {

// out[t, :] = table[ids[t] - first_id, :] * scale, and zeros where the id lies outside of
// [first_id, first_id + table.rows): a vocabulary-parallel rank holds only part of the table.
// Shapes: table [ids held here, cols] in host memory as the checkpoint holds it (only the rows
// needed are touched, so a mapped file is fine), ids [tokens], out [tokens, cols] f32.
void EmbedRows(Backend& backend, const WeightBlock& table, int64_t first_id,
               absl::Span<const int32_t> ids, float scale, const Tensor& out);

}  // namespace facet::ops

#endif  // FACET_KERNELS_OPS_EMBEDDING_H_
