#include "kernels/weight_matrix.h"

#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/thread_pool.h"

namespace facet {
namespace {

constexpr int kPanelRows = 16;

int64_t Panels(int64_t out) { return (out + kPanelRows - 1) / kPanelRows; }

int64_t PanelBytes(int64_t in, WeightFormat format) {
  return format == WeightFormat::kF32 ? in * kPanelRows * 4 : (in + 1) / 2 * kPanelRows * 4;
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

void PackPanelPlain(const uint8_t* const rows[kPanelRows], const DType dtypes[kPanelRows],
                    int64_t in, WeightFormat format, void* out) {
  for (int r = 0; r < kPanelRows; ++r) {
    if (rows[r] == nullptr) continue;
    for (int64_t k = 0; k < in; ++k) {
      const float x = LoadElement(rows[r], dtypes[r], k);
      if (format == WeightFormat::kF32) {
        static_cast<float*>(out)[k * kPanelRows + r] = x;
      } else {
        static_cast<uint16_t*>(out)[(k / 2 * kPanelRows + r) * 2 + k % 2] = FloatToBf16(x);
      }
    }
  }
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

  struct Row {
    const uint8_t* data;
    DType dtype;
  };
  std::vector<Row> rows;
  rows.reserve(matrix.out_);
  for (const WeightBlock& block : blocks) {
    for (int64_t r = 0; r < block.rows; ++r) {
      rows.push_back({block.data + r * block.row_stride * static_cast<int64_t>(SizeOf(block.dtype)),
                      block.dtype});
    }
  }
  auto* packed = static_cast<uint8_t*>(matrix.buffer_.data());
  const int64_t panel_bytes = PanelBytes(matrix.in_, format);
  auto& cpu = static_cast<CpuBackend&>(backend);
  cpu.pool().ParallelFor(Panels(matrix.out_), [&](int64_t panel) {
    const uint8_t* data[kPanelRows] = {};
    DType dtypes[kPanelRows] = {};
    for (int r = 0; r < kPanelRows; ++r) {
      const int64_t row = panel * kPanelRows + r;
      if (row >= matrix.out_) break;
      data[r] = rows[row].data;
      dtypes[r] = rows[row].dtype;
    }
    PackPanelPlain(data, dtypes, matrix.in_, format, packed + panel * panel_bytes);
  });
  return matrix;
}

}  // namespace facet
