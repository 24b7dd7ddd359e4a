// Attention kernels in plain C++, sums in double.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/dtype.h"
#include "kernels/cpu/attention_kernels.h"

namespace facet::reference {
namespace {

using cpu::AttentionState;
using cpu::AttentionTile;
using cpu::kTileKeys;

double At(const uint8_t* row, const AttentionTile& tile, int i) {
  if (tile.element == cpu::Element::kF32) return reinterpret_cast<const float*>(row)[i];
  if (tile.element == cpu::Element::kBf16) {
    return Bf16ToFloat(reinterpret_cast<const uint16_t*>(row)[i]);
  }
  float scale;
  std::memcpy(&scale, row + tile.head_dim, sizeof(scale));
  return double{scale} *
         (tile.element == cpu::Element::kInt8 ? static_cast<int8_t>(row[i]) : F8ToFloat(row[i]));
}

void AttendColumn(const AttentionTile& tile, int c) {
  tile.max[c] = -std::numeric_limits<float>::infinity();
  tile.sum[c] = 0;
  if (tile.begin[c] >= tile.end[c]) return;
  double p[kTileKeys];
  double largest = -std::numeric_limits<double>::infinity();
  for (int key = tile.begin[c]; key < tile.end[c]; ++key) {
    p[key] = 0;
    for (int d = 0; d < tile.head_dim; ++d) {
      p[key] += tile.queries[c][d] * At(tile.k_rows[key], tile, d);
    }
    largest = std::max(largest, p[key]);
  }
  tile.max[c] = static_cast<float>(largest);
  double sum = 0;
  for (int key = tile.begin[c]; key < tile.end[c]; ++key) {
    p[key] = std::exp(p[key] - tile.max[c]);
    sum += p[key];
  }
  tile.sum[c] = static_cast<float>(sum);
  for (int d = 0; d < tile.head_dim; ++d) {
    double o = 0;
    for (int key = tile.begin[c]; key < tile.end[c]; ++key) {
      o += p[key] * At(tile.v_rows[key], tile, d);
    }
    tile.out[c * tile.head_dim + d] = static_cast<float>(o);
  }
}

void Attend(const AttentionTile& tile) {
  for (int c = 0; c < tile.columns; ++c) AttendColumn(tile, c);
}

void Merge(float max, float sum, const float* out, int head_dim, const AttentionState& state) {
  if (sum == 0) return;
  const bool empty = *state.sum == 0;
  const float largest = empty ? max : std::max(max, *state.max);
  const double theirs = std::exp(double{max} - largest);
  const double ours = empty ? 0 : std::exp(double{*state.max} - largest);
  *state.max = largest;
  *state.sum = static_cast<float>(sum * theirs + *state.sum * ours);
  for (int d = 0; d < head_dim; ++d) {
    const double earlier = empty ? 0 : state.out[d] * ours;
    state.out[d] = static_cast<float>(out[d] * theirs + earlier);
  }
}

}  // namespace

extern const cpu::AttentionKernels kAttentionKernels;
const cpu::AttentionKernels kAttentionKernels = {Attend, Merge};

}  // namespace facet::reference
