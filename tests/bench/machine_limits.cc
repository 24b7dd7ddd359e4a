// What this machine can do at most, to hold other figures against: bytes read from memory and
// float32 multiply-adds per second, with 1 to all cores. Medians and bests of 7.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <thread>
#include <vector>

#include "tests/bench/limit_loops.h"

namespace {

constexpr int kRuns = 7;
constexpr size_t kFloats = size_t{1} << 28;  // 1 GiB: far beyond any cache
constexpr long kRounds = 20000000;

double Seconds(int threads, const std::function<void(int)>& work) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t) pool.emplace_back(work, t);
  for (std::thread& thread : pool) thread.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main() {
  std::vector<float> memory(kFloats, 1.0f);
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  for (int threads = 1; threads <= cores; threads *= 2) {
    std::vector<double> read, flop;
    for (int run = 0; run < kRuns; ++run) {
      const size_t share = kFloats / static_cast<size_t>(threads);
      const double reading = Seconds(threads, [&](int t) {
        facet::bench::ReadAll(memory.data() + static_cast<size_t>(t) * share, share);
      });
      read.push_back(4.0 * kFloats / reading / 1e9);
      const double computing = Seconds(threads, [](int) { facet::bench::MultiplyAdd(kRounds); });
      flop.push_back(facet::bench::kFlopPerRound * kRounds * threads / computing / 1e9);
    }
    std::sort(read.begin(), read.end());
    std::sort(flop.begin(), flop.end());
    std::printf("%d threads: read %.1f GB/s (best %.1f), multiply-add %.0f Gflop/s (best %.0f)\n",
                threads, read[kRuns / 2], read.back(), flop[kRuns / 2], flop.back());
  }
  return 0;
}
