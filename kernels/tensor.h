#ifndef FACET_KERNELS_TENSOR_H_
#define FACET_KERNELS_TENSOR_H_

// The view that every op takes: a matrix of activations, usually `[tokens, features]`.

#include <cstdint>

#include "base/dtype.h"
#include "base/log.h"

namespace facet {

// Non-owning; copies are cheap and share the data. Rows are dense, and `row_stride` elements apart,
// so that a view can be a range of columns of a wider matrix (the q part of a fused q/k/v).
// Thread-compatible, like a pointer.
struct Tensor {
  void* data = nullptr;
  DType dtype = DType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t row_stride = 0;  // elements; >= cols

  float* f32(int64_t row = 0) const {
    FACET_CHECK(dtype == DType::kF32) << "tensor is " << Name(dtype);
    return static_cast<float*>(data) + row * row_stride;
  }

  // The columns [begin, begin + count) of every row.
  Tensor Columns(int64_t begin, int64_t count) const {
    FACET_CHECK(begin >= 0 && count >= 0 && begin + count <= cols) << begin << "+" << count;
    Tensor out = *this;
    out.data = static_cast<char*>(data) + begin * static_cast<int64_t>(SizeOf(dtype));
    out.cols = count;
    return out;
  }

  // The rows [begin, begin + count).
  Tensor Rows(int64_t begin, int64_t count) const {
    FACET_CHECK(begin >= 0 && count >= 0 && begin + count <= rows) << begin << "+" << count;
    Tensor out = *this;
    out.data = static_cast<char*>(data) + begin * row_stride * static_cast<int64_t>(SizeOf(dtype));
    out.rows = count;
    return out;
  }
};

}  // namespace facet

#endif  // FACET_KERNELS_TENSOR_H_
