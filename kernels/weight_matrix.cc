#include "kernels/weight_matrix.h"

#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/thread_pool.h"

namespace facet {
namespace {

using cpu::Element;
using cpu::kPanelRows;
using cpu::PanelFormat;

int64_t Panels(int64_t out) { return (out + kPanelRows - 1) / kPanelRows; }

PanelFormat FormatOf(WeightFormat format) {
  return format == WeightFormat::kF32 ? PanelFormat::kF32 : PanelFormat::kBf16;
}

int64_t PanelBytes(int64_t in, WeightFormat format) {
  return cpu::StepsOf(FormatOf(format), in) * cpu::kLineBytes;
}

Element ElementOf(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return Element::kF32;
    case DType::kBF16:
      return Element::kBf16;
    case DType::kF16:
      return Element::kF16;
    case DType::kInt8:
    case DType::kF8E4M3:
      break;
  }
  FACET_CHECK(false) << "a table of " << Name(dtype);
  return Element::kF32;
}

float LoadElement(const uint8_t* row, DType dtype, int64_t i) {
  if (dtype == DType::kF32) {
    float x;
    std::memcpy(&x, row + 4 * i, sizeof(x));
    return x;
  }
  uint16_t x;
  std::memcpy(&x, row + 2 * i, sizeof(x));
  return dtype == DType::kBF16 ? Bf16ToFloat(x) : F16ToFloat(x);
}

struct Row {
  const uint8_t* data;
  DType dtype;
};

std::vector<Row> RowsOf(absl::Span<const WeightBlock> blocks, int64_t count) {
  std::vector<Row> rows;
  rows.reserve(static_cast<size_t>(count));
  for (const WeightBlock& block : blocks) {
    const int64_t bytes = block.row_stride * static_cast<int64_t>(SizeOf(block.dtype));
    for (int64_t r = 0; r < block.rows; ++r) rows.push_back({block.data + r * bytes, block.dtype});
  }
  return rows;
}

// Packs the (up to 16) rows. Rows of several element types are
// widened first.
void PackPanel(const cpu::MatMulKernels& kernels, absl::Span<const Row> rows, PanelFormat format,
               int64_t in, uint8_t* panel) {
  const uint8_t* data[kPanelRows] = {};
  bool same = true;
  for (size_t r = 0; r < rows.size(); ++r) {
    data[r] = rows[r].data;
    same = same && rows[r].dtype == rows[0].dtype;
  }
  if (same) return kernels.pack_panel(format, data, ElementOf(rows[0].dtype), in, panel);
  std::vector<float> wide(rows.size() * static_cast<size_t>(in));
  for (size_t r = 0; r < rows.size(); ++r) {
    float* out = wide.data() + r * static_cast<size_t>(in);
    for (int64_t k = 0; k < in; ++k) out[k] = LoadElement(rows[r].data, rows[r].dtype, k);
    data[r] = reinterpret_cast<const uint8_t*>(out);
  }
  kernels.pack_panel(format, data, Element::kF32, in, panel);
}

absl::Status Validate(absl::Span<const WeightBlock> blocks, int64_t* out) {
  *out = 0;
  for (const WeightBlock& block : blocks) {
    if (block.cols != blocks[0].cols) {
      return absl::InvalidArgumentError(
          absl::StrCat("weight blocks of unequal widths: ", block.cols, " and ", blocks[0].cols));
    }
    if (block.rows < 0 || block.cols < 1 || block.row_stride < block.cols) {
      return absl::InvalidArgumentError(absl::StrCat(
          "weight block of ", block.rows, " x ", block.cols, ", row stride ", block.row_stride));
    }
    *out += block.rows;
  }
  if (*out < 1) return absl::InvalidArgumentError("weight matrix without rows");
  return absl::OkStatus();
}

}  // namespace

int64_t WeightMatrix::PackedBytes(int64_t out, int64_t in, WeightFormat format) {
  return Panels(out) * PanelBytes(in, format);
}

absl::StatusOr<WeightMatrix> WeightMatrix::Pack(Backend& backend,
                                                absl::Span<const WeightBlock> blocks,
                                                WeightFormat format) {
  WeightMatrix matrix;
  FACET_RETURN_IF_ERROR(Validate(blocks, &matrix.out_));
  FACET_CHECK(backend.device() == Device::kCpu) << "no packing for this device";
  matrix.in_ = blocks[0].cols;
  matrix.format_ = format;
  FACET_ASSIGN_OR_RETURN(matrix.buffer_,
                         backend.Allocate(PackedBytes(matrix.out_, matrix.in_, format)));

  const std::vector<Row> rows = RowsOf(blocks, matrix.out_);
  auto& cpu = static_cast<CpuBackend&>(backend);
  const cpu::MatMulKernels& kernels = *cpu::KernelsFor(cpu.cpu_level()).matmul;
  auto* packed = static_cast<uint8_t*>(matrix.buffer_.data());
  const int64_t panel_bytes = PanelBytes(matrix.in_, format);
  cpu.pool().ParallelFor(Panels(matrix.out_), [&](int64_t panel) {
    PackPanel(kernels, absl::MakeConstSpan(rows).subspan(panel * kPanelRows, kPanelRows),
              FormatOf(format), matrix.in_, packed + panel * panel_bytes);
  });
  return matrix;
}

}  // namespace facet
