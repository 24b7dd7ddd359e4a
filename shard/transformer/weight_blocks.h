#ifndef FACET_SHARD_TRANSFORMER_WEIGHT_BLOCKS_H_
#define FACET_SHARD_TRANSFORMER_WEIGHT_BLOCKS_H_

// Parts of a checkpoint's tensors, without a copy.

#include <vector>

#include "kernels/weight_matrix.h"
#include "model/checkpoint.h"
#include "shard/slicing/slice_plan.h"

namespace facet {

// tensor: [rows, cols]. CHECK-fails on another rank.
WeightBlock WholeMatrix(const TensorInfo& tensor);

// Matrix `index` of a tensor [matrices, rows, cols].
WeightBlock MatrixAt(const TensorInfo& tensor, int64_t index);

WeightBlock Rows(const WeightBlock& block, const IndexRange& rows);
WeightBlock Columns(const WeightBlock& block, const IndexRange& columns);

// All elements, widened to float32.
std::vector<float> ReadFloats(const TensorInfo& tensor);

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_WEIGHT_BLOCKS_H_
