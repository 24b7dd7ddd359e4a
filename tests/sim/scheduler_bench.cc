// What the scheduler costs per step, with many sequences that all generate.
//
//   bazel run //tests/sim:scheduler_bench

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/log.h"
#include "benchmark/benchmark.h"
#include "shard/scheduler/scheduler.h"
#include "shard/step_plan_codec.h"

namespace facet {
namespace {

constexpr absl::Time kStart = absl::UnixEpoch();

std::unique_ptr<Scheduler> Decoding(int sequences, int context) {
  Scheduler::Options options;
  options.max_step_tokens = sequences + 8192;
  options.max_running_sequences = sequences;
  options.max_queue = sequences;
  options.max_context = context + 100000;
  options.global_pages = sequences * (context / 16 + 200);
  options.sliding_pages = sequences * 300;
  options.sliding_window = 1024;
  options.max_queue_tokens = 1 << 30;
  auto scheduler = std::move(Scheduler::Create(options)).value();
  for (int id = 0; id < sequences; ++id) {
    SequenceRequest request;
    request.id = id;
    request.prompt.assign(context, id);
    request.max_new_tokens = 100000;
    request.block_hashes.emplace(options.page_tokens, "");
    request.block_hashes->Extend(request.prompt);
    request.max_new_tokens = 2000;
    FACET_CHECK(scheduler->Add(std::move(request), kStart).ok());
  }
  return scheduler;
}

void Commit(Scheduler& scheduler, std::vector<NewToken>& tokens) {
  tokens.clear();
  for (const LogitsRow& row : scheduler.rows()) {
    tokens.push_back({row.sequence_id, row.position, false});
  }
  scheduler.Commit(tokens);
}

enum class Part { kAll, kNextAfterPlanAhead, kPlanAhead, kCommit };

void BM_Step(benchmark::State& state, Part part) {
  const int sequences = static_cast<int>(state.range(0));
  auto scheduler = Decoding(sequences, static_cast<int>(state.range(1)));
  std::vector<NewToken> tokens;
  do {  // all prompts
    scheduler->Next(kStart);
    Commit(*scheduler, tokens);
  } while (static_cast<int>(tokens.size()) < sequences);
  const auto timed = [&](Part what, auto&& call) {
    if (part != Part::kAll && part != what) state.PauseTiming();
    call();
    if (part != Part::kAll && part != what) state.ResumeTiming();
  };
  for (auto _ : state) {
    StepPlan plan;
    timed(Part::kNextAfterPlanAhead, [&] { plan = scheduler->Next(kStart); });
    if (part != Part::kAll) timed(Part::kPlanAhead, [&] { scheduler->PlanAhead(kStart); });
    timed(Part::kCommit, [&] { Commit(*scheduler, tokens); });
    FACET_CHECK(static_cast<int>(plan.sequences.size()) == sequences);
    timed(Part::kNextAfterPlanAhead, [&] { scheduler->Recycle(std::move(plan)); });
  }
  state.counters["steps"] = benchmark::Counter(static_cast<double>(state.iterations()));
}
BENCHMARK_CAPTURE(BM_Step, next_and_commit, Part::kAll)
    ->Args({64, 1000})
    ->Args({1000, 100})
    ->Args({1000, 1000})
    ->Args({1000, 8000})
    ->Iterations(400)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(BM_Step, next_after_plan_ahead, Part::kNextAfterPlanAhead)
    ->Args({1000, 1000})
    ->Iterations(400)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(BM_Step, plan_ahead, Part::kPlanAhead)
    ->Args({1000, 1000})
    ->Iterations(400)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(BM_Step, commit, Part::kCommit)
    ->Args({1000, 1000})
    ->Iterations(400)
    ->Unit(benchmark::kMicrosecond);

void BM_EncodePlan(benchmark::State& state) {
  auto scheduler = Decoding(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  std::vector<NewToken> tokens;
  StepPlan plan;
  do {
    plan = scheduler->Next(kStart);
    Commit(*scheduler, tokens);
  } while (static_cast<int>(tokens.size()) < state.range(0));
  plan = scheduler->Next(kStart);
  size_t bytes = 0;
  for (auto _ : state) bytes = EncodeStepPlan(plan).size();
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(BM_EncodePlan)->Args({1000, 1000})->Args({64, 1000})->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace facet

BENCHMARK_MAIN();
