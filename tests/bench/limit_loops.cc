// Built for AVX2 and FMA: only intrinsics and plain loops here.
#include "tests/bench/limit_loops.h"

#include <immintrin.h>

namespace facet::bench {
namespace {

// Where results go, so that no loop is dropped as useless.
void Use(__m256 value) { asm volatile("" ::"x"(value)); }

}  // namespace

void ReadAll(const float* data, size_t count) {
  __m256 sum[8];
  for (__m256& s : sum) s = _mm256_setzero_ps();
  for (size_t i = 0; i < count; i += 64) {
    for (size_t j = 0; j < 8; ++j) {
      sum[j] = _mm256_add_ps(sum[j], _mm256_loadu_ps(data + i + 8 * j));
    }
  }
  for (__m256& s : sum) Use(s);
}

void MultiplyAdd(long rounds) {
  __m256 value[12];
  for (__m256& v : value) v = _mm256_set1_ps(1.0f);
  const __m256 factor = _mm256_set1_ps(1.0000001f), step = _mm256_set1_ps(1e-9f);
  for (long i = 0; i < rounds; ++i) {
    for (__m256& v : value) v = _mm256_fmadd_ps(v, factor, step);
  }
  for (__m256& v : value) Use(v);
}

}  // namespace facet::bench
