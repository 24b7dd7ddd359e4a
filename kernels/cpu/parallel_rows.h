#ifndef FACET_KERNELS_CPU_PARALLEL_ROWS_H_
#define FACET_KERNELS_CPU_PARALLEL_ROWS_H_

// Loops over the rows of small ops: shared between threads only where that pays.

#include <algorithm>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "kernels/cpu/thread_pool.h"

namespace facet::cpu {

constexpr int64_t kTaskValues = 8192;  // some 10 us of work
constexpr int64_t kInlineValues = 4 * kTaskValues;

// Calls body(row) for each of `rows` rows of `values` values.
inline void ParallelRows(ThreadPool& pool, int64_t rows, int64_t values,
                         absl::FunctionRef<void(int64_t)> body) {
  const int64_t per_task = std::max<int64_t>(1, kTaskValues / std::max<int64_t>(1, values));
  const int64_t tasks = (rows + per_task - 1) / per_task;
  pool.ParallelForIf(rows * values >= kInlineValues, tasks, [&](int64_t task) {
    const int64_t end = std::min(rows, (task + 1) * per_task);
    for (int64_t row = task * per_task; row < end; ++row) body(row);
  });
}

// Calls body(row, column, count) for pieces of rows, where the values of a row are independent.
inline void ParallelPieces(ThreadPool& pool, int64_t rows, int64_t cols,
                           absl::FunctionRef<void(int64_t, int64_t, int64_t)> body) {
  const int64_t pieces = std::max<int64_t>(1, (cols + kTaskValues - 1) / kTaskValues);
  ParallelRows(pool, rows * pieces, std::min(cols, kTaskValues), [&](int64_t i) {
    const int64_t begin = i % pieces * kTaskValues;
    body(i / pieces, begin, std::min(cols - begin, kTaskValues));
  });
}

}  // namespace facet::cpu

#endif  // FACET_KERNELS_CPU_PARALLEL_ROWS_H_
