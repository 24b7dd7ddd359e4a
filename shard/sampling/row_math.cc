#include "shard/sampling/row_math.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace facet {
namespace {

// Four lanes: every machine has them (gcc and clang lower the type where it does not).
constexpr size_t kLanes = 4;
using Floats = float __attribute__((vector_size(4 * kLanes)));
using Ints = int32_t __attribute__((vector_size(4 * kLanes)));
using Doubles = double __attribute__((vector_size(8 * kLanes / 2)));

constexpr float kInfinity = std::numeric_limits<float>::infinity();

inline Floats Load(const float* from) {
  Floats values;
  std::memcpy(&values, from, sizeof(values));
  return values;
}
inline Floats Broadcast(float value) { return Floats{value, value, value, value}; }

inline bool AnyLane(Ints mask) {
  uint64_t halves[2];
  std::memcpy(halves, &mask, sizeof(mask));
  return (halves[0] | halves[1]) != 0;
}

// exp for x <= 0. Cephes' expf scheme: x = n ln 2 + r with |r| <= ln(2) / 2, then a polynomial in r
// and n into the exponent bits.
inline Floats ExpOfNegative(Floats x) {
  constexpr float kLowest = -85.0f;      // 2^-123: n stays that of a normal number
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Ints in_range = x > Broadcast(kLowest);
  x = in_range ? x : Broadcast(kLowest);
  const Floats n = (x * 1.44269504f + kRound) - kRound;
  const Floats r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const Ints power_bits = (__builtin_convertvector(n, Ints) + 127) << 23;
  Floats power;
  std::memcpy(&power, &power_bits, sizeof(power));
  const Floats result = p * power;
  return in_range ? result : Broadcast(0.0f);
}

}  // namespace

RowMax MaxOfRow(absl::Span<const float> row) {
  // Two independent chains, so that a comparison need not wait for the one before it.
  Floats max[2] = {Broadcast(-kInfinity), Broadcast(-kInfinity)};
  Ints valid[2] = {Ints{-1, -1, -1, -1}, Ints{-1, -1, -1, -1}};
  size_t i = 0;
  for (; i + 2 * kLanes <= row.size(); i += 2 * kLanes) {
    for (size_t chain = 0; chain < 2; ++chain) {
      const Floats x = Load(row.data() + i + chain * kLanes);
      max[chain] = x > max[chain] ? x : max[chain];
      valid[chain] &= x < Broadcast(kInfinity);
    }
  }
  RowMax result{-kInfinity, true};
  const auto take = [&result](float x, bool valid) {
    result.max = x > result.max ? x : result.max;
    result.valid = result.valid && valid;
  };
  for (size_t lane = 0; lane < kLanes; ++lane) {
    take(max[0][lane], valid[0][lane] != 0);
    take(max[1][lane], valid[1][lane] != 0);
  }
  for (; i < row.size(); ++i) take(row[i], row[i] < kInfinity);
  return result;
}

int32_t FirstEqual(absl::Span<const float> row, float value) {
  size_t i = 0;
  for (; i + 4 * kLanes <= row.size(); i += 4 * kLanes) {
    Ints equal = {};
    for (size_t part = 0; part < 4; ++part) {
      equal |= Load(row.data() + i + part * kLanes) == Broadcast(value);
    }
    if (AnyLane(equal)) break;
  }
  for (; i < row.size(); ++i) {
    if (row[i] == value) return static_cast<int32_t>(i);
  }
  return -1;
}

size_t NextBlockAbove(absl::Span<const float> row, size_t start, float threshold) {
  size_t i = start;
  for (; i + 4 * kLanes <= row.size(); i += 4 * kLanes) {
    Ints above = {};
    for (size_t part = 0; part < 4; ++part) {
      above |= Load(row.data() + i + part * kLanes) > Broadcast(threshold);
    }
    if (AnyLane(above)) break;
  }
  return i;
}

void ExpWeights(absl::Span<const float> row, float max, float inverse_temperature, float* weights) {
  size_t i = 0;
  for (; i + kLanes <= row.size(); i += kLanes) {
    const Floats w = ExpOfNegative((Load(row.data() + i) - max) * inverse_temperature);
    std::memcpy(weights + i, &w, sizeof(w));
  }
  if (i == row.size()) return;
  float rest[kLanes] = {max, max, max, max};
  std::copy(row.begin() + i, row.end(), rest);
  const Floats w = ExpOfNegative((Load(rest) - max) * inverse_temperature);
  std::memcpy(weights + i, &w, (row.size() - i) * sizeof(float));
}

double SumOfRow(absl::Span<const float> row) {
  Doubles low = {0, 0}, high = {0, 0};
  size_t i = 0;
  for (; i + kLanes <= row.size(); i += kLanes) {
    low += Doubles{row[i], row[i + 1]};
    high += Doubles{row[i + 2], row[i + 3]};
  }
  double sum = 0;
  for (; i < row.size(); ++i) sum += row[i];
  return sum + (low[0] + low[1]) + (high[0] + high[1]);
}

}  // namespace facet
