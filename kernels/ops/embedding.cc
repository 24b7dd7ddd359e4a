#include "kernels/ops/embedding.h"

#include <algorithm>
#include <cstring>

#include "kernels/ops/check.h"

namespace facet::ops {

void EmbedRows(Backend& backend, const WeightBlock& table, int64_t first_id,
               absl::Span<const int32_t> ids, float scale, const Tensor& out) {
  AsCpu(backend);
  CheckShape(out, static_cast<int64_t>(ids.size()), table.cols, "EmbedRows out");
  for (size_t t = 0; t < ids.size(); ++t) {
    float* o = out.f32(t);
    const int64_t row = ids[t] - first_id;
    if (row < 0 || row >= table.rows) {
      std::fill(o, o + table.cols, 0.0f);
      continue;
    }
    const uint8_t* p =
        table.data + row * table.row_stride * static_cast<int64_t>(SizeOf(table.dtype));
    for (int64_t c = 0; c < table.cols; ++c) {
      if (table.dtype == DType::kF32) {
        float v;
        std::memcpy(&v, p + 4 * c, 4);
        o[c] = v * scale;
      } else {
        uint16_t v;
        std::memcpy(&v, p + 2 * c, 2);
        o[c] = (table.dtype == DType::kBF16 ? Bf16ToFloat(v) : F16ToFloat(v)) * scale;
      }
    }
  }
}

}  // namespace facet::ops
