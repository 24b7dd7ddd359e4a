// The kernels that take the time, on the shapes of the family, each with its share of what this
// machine can do (measured at the start of the same run):
//   of_read    weight bytes per second / bytes that all threads can read
//   of_peak    multiply-adds per second / the peak of all threads
// Weights are far larger than any cache, as in a real decode step: matrices are used in turn.

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "benchmark/benchmark.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/ops/attention.h"
#include "kernels/ops/matmul.h"
#include "kernels/weight_matrix.h"
#include "tests/bench/limit_loops.h"

namespace facet {
namespace {

constexpr int64_t kWeightBytes = int64_t{1} << 29;  // of all matrices of one benchmark together

// Best of 3, with `threads` threads at once; work per second.
double Rate(int threads, double work_per_thread, const std::function<void(int)>& loop) {
  double best = 0;
  for (int run = 0; run < 3; ++run) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> pool;
    for (int t = 0; t < threads; ++t) pool.emplace_back(loop, t);
    for (std::thread& thread : pool) thread.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::max(best, work_per_thread * threads / took.count());
  }
  return best;
}

double ReadBytesPerSecond(int threads) {
  const size_t share = (size_t{1} << 28) / static_cast<size_t>(threads) / 64 * 64;
  const std::vector<float> memory(share * static_cast<size_t>(threads), 1.0f);
  return Rate(threads, 4.0 * static_cast<double>(share), [&](int t) {
    bench::ReadAll(memory.data() + static_cast<size_t>(t) * share, share);
  });
}

double FlopPerSecond(int threads) {
  constexpr long kRounds = 10000000;
  return Rate(threads, bench::kFlopPerRound * kRounds, [](int) { bench::MultiplyAdd(kRounds); });
}

struct Machine {
  std::unique_ptr<CpuBackend> backend;
  double read;
  double flop;
};

Machine& MachineWith(int threads) {
  static std::vector<Machine> machines(65);
  Machine& machine = machines[static_cast<size_t>(threads)];
  if (machine.backend == nullptr) {
    auto backend = CpuBackend::Create({.threads = threads, .max_level = ""});
    FACET_CHECK(backend.ok()) << backend.status();
    machine = {*std::move(backend), ReadBytesPerSecond(threads), FlopPerSecond(threads)};
  }
  return machine;
}

Buffer Allocate(Backend& backend, int64_t bytes) {
  auto buffer = backend.Allocate(static_cast<size_t>(bytes));
  FACET_CHECK(buffer.ok()) << buffer.status();
  return *std::move(buffer);
}

std::vector<WeightMatrix> Weights(Backend& backend, int64_t out, int64_t in) {
  std::vector<uint16_t> values(static_cast<size_t>(out * in), 0x3c23);
  const WeightBlock block = {reinterpret_cast<const uint8_t*>(values.data()), DType::kBF16, out, in,
                             in};
  std::vector<WeightMatrix> matrices;
  for (int64_t bytes = 0; bytes < kWeightBytes; bytes += 2 * out * in) {
    auto matrix = WeightMatrix::Pack(backend, {block}, WeightFormat::kBF16Dot);
    FACET_CHECK(matrix.ok()) << matrix.status();
    matrices.push_back(*std::move(matrix));
  }
  return matrices;
}

// Arguments: threads, tokens, out, in.
void BM_MatMul(benchmark::State& state) {
  Machine& machine = MachineWith(static_cast<int>(state.range(0)));
  const int64_t tokens = state.range(1), out = state.range(2), in = state.range(3);
  const std::vector<WeightMatrix> weights = Weights(*machine.backend, out, in);
  const Buffer x = Allocate(*machine.backend, tokens * in * 4);
  const Buffer y = Allocate(*machine.backend, tokens * out * 4);
  size_t next = 0;
  for (auto _ : state) {
    ops::MatMul(*machine.backend, x.View(tokens, in), weights[next], y.View(tokens, out));
    next = (next + 1) % weights.size();
  }
  const double runs = static_cast<double>(state.iterations());
  const auto rate = [&](double work) {
    return benchmark::Counter(work * runs, benchmark::Counter::kIsRate);
  };
  const double bytes = 2.0 * static_cast<double>(out * in);
  const double flop = bytes * static_cast<double>(tokens);
  state.counters["GB/s"] = rate(bytes / 1e9);
  state.counters["of_read"] = rate(bytes / machine.read);
  state.counters["Gflop/s"] = rate(flop / 1e9);
  state.counters["of_peak"] = rate(flop / machine.flop);
}

void Shapes(benchmark::internal::Benchmark* b) {
  for (int threads : {1, 2}) {
    for (int64_t tokens : {1, 8, 512}) {
      b->Args({threads, tokens, 12288, 1536});  // E2B: gate and up
      b->Args({threads, tokens, 1536, 6144});   // E2B: down
      b->Args({threads, tokens, 21504, 5376});  // 31B: gate
      b->Args({threads, tokens, 1408, 2816});   // 26B-A4B: gate and up of one expert
    }
  }
  b->ArgNames({"threads", "tokens", "out", "in"})->UseRealTime()->Unit(benchmark::kMicrosecond);
}
BENCHMARK(BM_MatMul)->Apply(Shapes);

// Arguments: threads, context, head_dim, type of the pages (a DType). One token of one sequence, 8
// query heads on one KV head.
void BM_DecodeAttention(benchmark::State& state) {
  Machine& machine = MachineWith(static_cast<int>(state.range(0)));
  const int64_t context = state.range(1);
  const int head_dim = static_cast<int>(state.range(2)), page_tokens = 16, heads = 8;
  const int num_pages = static_cast<int>(context / page_tokens);
  const auto dtype = static_cast<DType>(state.range(3));
  const int64_t page_bytes = page_tokens * KvRowBytes(dtype, head_dim);
  const Buffer k = Allocate(*machine.backend, num_pages * page_bytes);
  const Buffer v = Allocate(*machine.backend, num_pages * page_bytes);
  const Buffer q = Allocate(*machine.backend, int64_t{heads} * head_dim * 4);
  const Buffer out = Allocate(*machine.backend, int64_t{heads} * head_dim * 4);
  const KvPages pages = {k.data(), v.data(), dtype, num_pages, 1, page_tokens, head_dim};
  std::vector<int32_t> table(static_cast<size_t>(num_pages));
  for (int i = 0; i < num_pages; ++i) table[static_cast<size_t>(i)] = i;
  AttentionSequence sequence;
  sequence.num_rows = 1;
  sequence.start_position = context - 1;
  sequence.pages = table;
  for (auto _ : state) {
    ops::PagedAttention(*machine.backend, q.View(1, heads * head_dim), pages, {sequence}, 0,
                        out.View(1, heads * head_dim));
  }
  const double runs = static_cast<double>(state.iterations());
  const double bytes = 2.0 * static_cast<double>(num_pages * page_bytes);
  state.counters["GB/s"] = benchmark::Counter(bytes * runs / 1e9, benchmark::Counter::kIsRate);
  state.SetLabel(Name(dtype));
}
void Contexts(benchmark::internal::Benchmark* b) {
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kInt8, DType::kF8E4M3}) {
    b->Args({1, 512, 256, static_cast<int>(dtype)});
    b->Args({1, 32768, 512, static_cast<int>(dtype)});
    b->Args({2, 32768, 512, static_cast<int>(dtype)});
  }
  b->ArgNames({"threads", "context", "head_dim", "dtype"})
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
}
BENCHMARK(BM_DecodeAttention)->Apply(Contexts);

}  // namespace
}  // namespace facet

BENCHMARK_MAIN();
