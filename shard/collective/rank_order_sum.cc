#include "shard/collective/rank_order_sum.h"

#include <cstring>

namespace facet {
namespace {

// Small enough to stay in the first cache level while all ranks are added.
constexpr size_t kTile = 1024;

// A loop of fixed length over aligned memory: the compiler takes the same vector instructions for
// an element whatever the caller's alignment is (a NaN's payload depends on the operands' order).
void AddTile(const float* __restrict in, float* __restrict sum) {
  for (size_t i = 0; i < kTile; ++i) sum[i] = sum[i] + in[i];
}

}  // namespace

void RankOrderSum(absl::Span<const float* const> inputs, size_t count, float* out) {
  alignas(64) float sum[kTile];
  alignas(64) float padded[kTile];
  for (size_t begin = 0; begin < count; begin += kTile) {
    const size_t n = count - begin < kTile ? count - begin : kTile;
    std::memcpy(sum, inputs[0] + begin, n * sizeof(float));
    if (n < kTile) std::memset(sum + n, 0, (kTile - n) * sizeof(float));
    for (size_t r = 1; r < inputs.size(); ++r) {
      const float* in = inputs[r] + begin;
      if (n < kTile) {
        std::memcpy(padded, in, n * sizeof(float));
        std::memset(padded + n, 0, (kTile - n) * sizeof(float));
        in = padded;
      }
      AddTile(in, sum);
    }
    std::memcpy(out + begin, sum, n * sizeof(float));
  }
}

}  // namespace facet
