#ifndef FACET_TESTS_BENCH_LIMIT_LOOPS_H_
#define FACET_TESTS_BENCH_LIMIT_LOOPS_H_

#include <cstddef>

namespace facet::bench {

// Reads [count] floats (a multiple of 64) and drops their sum.
void ReadAll(const float* data, size_t count);

// Independent chains of 8-float multiply-adds, enough to hide their latency.
inline constexpr double kFlopPerRound = 12 * 8 * 2;
void MultiplyAdd(long rounds);

}  // namespace facet::bench

#endif  // FACET_TESTS_BENCH_LIMIT_LOOPS_H_
