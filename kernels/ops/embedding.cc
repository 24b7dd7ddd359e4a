#include "kernels/ops/embedding.h"

#include <algorithm>

#include "kernels/cpu/parallel_rows.h"
#include "kernels/ops/check.h"

namespace facet::ops {
namespace {

cpu::Element ElementOf(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return cpu::Element::kF32;
    case DType::kBF16:
      return cpu::Element::kBf16;
    case DType::kF16:
      return cpu::Element::kF16;
    case DType::kInt8:
    case DType::kF8E4M3:
      break;
  }
  FACET_CHECK(false) << "a table of " << Name(dtype);
  return cpu::Element::kF32;
}

}  // namespace

void EmbedRows(Backend& backend, const WeightBlock& table, int64_t first_id,
               absl::Span<const int32_t> ids, float scale, const Tensor& out) {
  CheckShape(out, static_cast<int64_t>(ids.size()), table.cols, "EmbedRows out");
  FACET_CHECK(table.row_stride >= table.cols) << "EmbedRows table has stride " << table.row_stride;
  CpuBackend& cpu = AsCpu(backend);
  const cpu::RowKernels& kernels = *KernelsOf(cpu).rows;
  const cpu::Element element = ElementOf(table.dtype);
  const int64_t row_bytes = table.row_stride * static_cast<int64_t>(SizeOf(table.dtype));
  cpu::ParallelRows(cpu.pool(), out.rows, table.cols, [&](int64_t t) {
    float* row = out.f32(t);
    const int64_t id = ids[static_cast<size_t>(t)] - first_id;
    if (id < 0 || id >= table.rows) {
      std::fill(row, row + table.cols, 0.0f);
    } else {
      kernels.widen(table.data + id * row_bytes, element, scale, table.cols, row);
    }
  });
}

}  // namespace facet::ops
