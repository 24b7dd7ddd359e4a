#include "kernels/ops/banded_attention.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/parallel_rows.h"
#include "kernels/ops/check.h"

namespace facet::ops {

void BandedAttention(Backend& backend, const Band& band, const Tensor& q, const Tensor& k,
                     const Tensor& v, const Tensor& out) {
  const int64_t most = int64_t{band.keys_before} + band.keys_ahead;
  FACET_CHECK(band.heads >= 1 && q.cols % band.heads == 0) << q.cols << " columns, " << band.heads;
  FACET_CHECK(band.keys_before >= 1 && band.keys_ahead >= 0 && most <= cpu::kMaxBandKeys)
      << band.keys_before << " keys, " << band.keys_ahead << " ahead";
  FACET_CHECK(band.logit_cap > 0) << band.logit_cap;
  CheckShape(q, q.rows, q.cols, "BandedAttention q");
  CheckShape(k, q.rows, q.cols, "BandedAttention k");
  CheckShape(v, q.rows, q.cols, "BandedAttention v");
  CheckShape(out, q.rows, q.cols, "BandedAttention out");
  FACET_CHECK(k.row_stride == v.row_stride) << k.row_stride << " and " << v.row_stride;
  CpuBackend& cpu = AsCpu(backend);
  const cpu::TowerKernels& kernels = *KernelsOf(cpu).tower;
  const auto dim = static_cast<int>(q.cols / band.heads);
  cpu::ParallelRows(cpu.pool(), q.rows, 2 * most * q.cols, [&](int64_t t) {
    std::vector<float> query(static_cast<size_t>(q.cols));
    for (int64_t c = 0; c < q.cols; ++c) query[c] = q.f32(t)[c] * band.query_scale[c % dim];
    const int64_t first = std::max<int64_t>(0, t - band.keys_before + 1);
    const int64_t last = std::min(q.rows - 1, t + band.keys_ahead);
    cpu::BandQuery one = {};
    one.stride = k.row_stride;
    one.distance_stride = -q.cols;
    one.count = static_cast<int>(last - first + 1);
    one.dim = dim;
    one.key_scale = band.key_scale;
    one.cap = band.logit_cap;
    for (int64_t c = 0; c < q.cols; c += dim) {
      one.query = query.data() + c;
      one.keys = k.f32(first) + c;
      one.values = v.f32(first) + c;
      one.distances = band.distance_keys + (t - first + band.keys_ahead) * q.cols + c;
      one.out = out.f32(t) + c;
      kernels.attend_band(one);
    }
  });
}

}  // namespace facet::ops
