#include "shard/collective/testing/reference_collective.h"

#include <cmath>

namespace facet {
namespace {

// Finalizer of SplitMix64 (Steele, Lea, Flood 2014).
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t Hash(uint64_t seed, int rank, size_t i) {
  return Mix(seed * 1000003 + static_cast<uint64_t>(rank) * 7919 + i * 0x9e3779b97f4a7c15u);
}

}  // namespace

float TestFloat(uint64_t seed, int rank, size_t i) {
  const uint64_t h = Hash(seed, rank, i);
  const float fraction = static_cast<float>(h >> 40) * 0x1p-24f - 0.5f;
  return std::ldexp(fraction, static_cast<int>(h % 13));
}

uint8_t TestByte(uint64_t seed, int rank, size_t i) {
  return static_cast<uint8_t>(Hash(seed, rank, i) >> 32);
}

std::vector<float> TestFloats(uint64_t seed, int rank, size_t count) {
  std::vector<float> out(count);
  for (size_t i = 0; i < count; ++i) out[i] = TestFloat(seed, rank, i);
  return out;
}

std::vector<uint8_t> TestBytes(uint64_t seed, int rank, size_t count) {
  std::vector<uint8_t> out(count);
  for (size_t i = 0; i < count; ++i) out[i] = TestByte(seed, rank, i);
  return out;
}

std::vector<float> ReferenceSum(uint64_t seed, int world_size, size_t begin, size_t count) {
  std::vector<float> out(count);
  for (size_t i = 0; i < count; ++i) {
    float sum = TestFloat(seed, 0, begin + i);
    for (int r = 1; r < world_size; ++r) sum = sum + TestFloat(seed, r, begin + i);
    out[i] = sum;
  }
  return out;
}

}  // namespace facet
