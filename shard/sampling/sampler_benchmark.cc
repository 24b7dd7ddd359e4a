// Time to sample one token from a full-size row. Run: bazel run //shard/sampling:sampler_benchmark

#include <cmath>
#include <random>
#include <vector>

#include "benchmark/benchmark.h"
#include "shard/sampling/sampler.h"

namespace facet {
namespace {

// spread 6: peaked, as a trained model's rows are. spread 0.5: nearly flat, the worst case of
// top_p.
std::vector<float> Logits(double spread) {
  std::mt19937 random(1);
  std::normal_distribution<double> normal(0, spread);
  std::vector<float> logits(262144);
  for (float& x : logits) x = static_cast<float>(30 * std::tanh(normal(random) / 30));
  return logits;
}

void Run(benchmark::State& state, const SamplingParams& params, double spread) {
  const std::vector<float> logits = Logits(spread);
  TokenCounts counts;
  for (int token = 0; token < 1000; ++token) counts.AddGenerated(token * 200);
  Sampler sampler;
  int64_t position = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(sampler.Sample(logits, params, counts, {}, ++position));
  }
}

SamplingParams Params(double temperature, int top_k, double top_p, double min_p = 0) {
  SamplingParams params;
  params.temperature = temperature;
  params.top_k = top_k;
  params.top_p = top_p;
  params.min_p = min_p;
  return params;
}
SamplingParams WithLogprobs(SamplingParams params) {
  params.logprobs = 20;
  return params;
}
SamplingParams WithPenalty(SamplingParams params) {
  params.repetition_penalty = 1.1;
  return params;
}

BENCHMARK_CAPTURE(Run, greedy, Params(0, 0, 1), 6);
BENCHMARK_CAPTURE(Run, greedy_logprobs, WithLogprobs(Params(0, 0, 1)), 6);
BENCHMARK_CAPTURE(Run, defaults_k64_p95, Params(1, 64, 0.95), 6);
BENCHMARK_CAPTURE(Run, defaults_penalty, WithPenalty(Params(1, 64, 0.95)), 6);
BENCHMARK_CAPTURE(Run, temperature_only, Params(1, 0, 1), 6);
BENCHMARK_CAPTURE(Run, p95, Params(1, 0, 0.95), 6);
BENCHMARK_CAPTURE(Run, p95_flat, Params(1, 0, 0.95), 0.5);
BENCHMARK_CAPTURE(Run, min_p, Params(1, 0, 1, 0.05), 6);
BENCHMARK_CAPTURE(Run, k100000, Params(1, 100000, 1), 6);

}  // namespace
}  // namespace facet

BENCHMARK_MAIN();
