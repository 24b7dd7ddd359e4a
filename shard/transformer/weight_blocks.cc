#include "shard/transformer/weight_blocks.h"

#include <cstring>

#include "base/log.h"

namespace facet {
namespace {

void CheckInside(const IndexRange& range, int64_t size) {
  FACET_CHECK(range.begin >= 0 && range.count >= 0 && range.end() <= size)
      << "[" << range.begin << ", " << range.end() << ") of " << size;
}

float ReadElement(const uint8_t* data, DType dtype, int64_t i) {
  if (dtype == DType::kF32) {
    float x;
    std::memcpy(&x, data + 4 * i, sizeof(x));
    return x;
  }
  uint16_t x;
  std::memcpy(&x, data + 2 * i, sizeof(x));
  return dtype == DType::kBF16 ? Bf16ToFloat(x) : F16ToFloat(x);
}

}  // namespace

WeightBlock WholeMatrix(const TensorInfo& tensor) {
  FACET_CHECK(tensor.shape.size() == 2) << "a tensor of rank " << tensor.shape.size();
  return {tensor.bytes.data(), tensor.dtype, tensor.shape[0], tensor.shape[1], tensor.shape[1]};
}

WeightBlock MatrixAt(const TensorInfo& tensor, int64_t index) {
  FACET_CHECK(tensor.shape.size() == 3) << "a tensor of rank " << tensor.shape.size();
  CheckInside({index, 1}, tensor.shape[0]);
  const int64_t rows = tensor.shape[1];
  const int64_t cols = tensor.shape[2];
  const auto element_bytes = static_cast<int64_t>(SizeOf(tensor.dtype));
  return {tensor.bytes.data() + index * rows * cols * element_bytes, tensor.dtype, rows, cols,
          cols};
}

WeightBlock Rows(const WeightBlock& block, const IndexRange& rows) {
  CheckInside(rows, block.rows);
  WeightBlock out = block;
  out.data += rows.begin * block.row_stride * static_cast<int64_t>(SizeOf(block.dtype));
  out.rows = rows.count;
  return out;
}

WeightBlock Columns(const WeightBlock& block, const IndexRange& columns) {
  CheckInside(columns, block.cols);
  WeightBlock out = block;
  out.data += columns.begin * static_cast<int64_t>(SizeOf(block.dtype));
  out.cols = columns.count;
  return out;
}

std::vector<float> ReadFloats(const TensorInfo& tensor) {
  std::vector<float> out(tensor.bytes.size() / SizeOf(tensor.dtype));
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = ReadElement(tensor.bytes.data(), tensor.dtype, static_cast<int64_t>(i));
  }
  return out;
}

}  // namespace facet
