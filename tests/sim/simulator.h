#ifndef FACET_TESTS_SIM_SIMULATOR_H_
#define FACET_TESTS_SIM_SIMULATOR_H_

// Runs a trace through the real scheduler on a clock of its own: a step lasts as long as a model of
// the machine says.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "shard/scheduler/scheduler.h"
#include "tests/sim/trace.h"

namespace facet {

// Seconds of a step.
struct StepCost {
  double fixed_s = 0.010;
  double per_prefill_token_s = 0.00005;
  double per_decode_token_s = 0.0002;
  double per_1k_context_s = 0.00002;  // of the keys that all sequences of the step look at
};

struct Percentiles {
  double p50 = 0, p90 = 0, p99 = 0;
};
// By the nearest rank; 0 of no values.
Percentiles PercentilesOf(std::vector<double> values);

struct SimReport {
  int finished = 0;
  int refused = 0;    // the queue was full
  int never_fit = 0;  // too long for the context or the pools
  double seconds = 0;
  int64_t steps = 0;
  int64_t prompt_tokens = 0;  // of what finished
  int64_t output_tokens = 0;
  double step_tokens = 0;            // mean
  Percentiles first_token_s;         // from arrival
  Percentiles inter_token_s;         // between two tokens of a request
  Percentiles queue_s;               // from arrival to the first step
  double scheduler_us_per_step = 0;  // measured: Next, PlanAhead and Commit
  SchedulerStats scheduler;

  std::string ToText() const;
  std::string ToJson() const;
};

struct SimOptions {
  Scheduler::Options scheduler;
  StepCost cost;
  bool plan_ahead = true;
};

// InvalidArgument on bad scheduler options.
absl::StatusOr<SimReport> Simulate(const SimOptions& options,
                                   const std::vector<TraceRequest>& trace);

}  // namespace facet

#endif  // FACET_TESTS_SIM_SIMULATOR_H_
