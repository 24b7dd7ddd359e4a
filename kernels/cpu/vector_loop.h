#ifndef FACET_KERNELS_CPU_VECTOR_LOOP_H_
#define FACET_KERNELS_CPU_VECTOR_LOOP_H_

// Loops over rows in vectors, for one level (see simd.h).

#include "kernels/cpu/simd.h"

namespace facet::SIMD_NS {

// Calls body(i, lanes) for every 16 of n values, with fewer lanes at the end.
template <typename Body>
FACET_INLINE void ForEachVector(int64_t n, Body body) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, kLanes);
  if (i < n) body(i, static_cast<int>(n - i));
}

FACET_INLINE F32 LoadLanes(const float* p, int lanes) {
  return lanes == kLanes ? Load(p) : LoadPart(p, lanes);
}
FACET_INLINE void StoreLanes(float* p, F32 x, int lanes) {
  if (lanes == kLanes) {
    Store(p, x);
  } else {
    StorePart(p, x, lanes);
  }
}

}  // namespace facet::SIMD_NS

#endif  // FACET_KERNELS_CPU_VECTOR_LOOP_H_
