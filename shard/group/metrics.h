#ifndef FACET_SHARD_GROUP_METRICS_H_
#define FACET_SHARD_GROUP_METRICS_H_

// Metrics of a rank. Thread-safe.

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "shard/sampling/stop_checker.h"
#include "shard/scheduler/scheduler.h"
#include "shard/transformer/step_timings.h"

namespace facet {

// What the sequences of a step were doing.
enum class StepPhase { kPrefill, kDecode, kMixed };

// Of every rank.
class StepMetrics {
 public:
  explicit StepMetrics(prometheus::Registry& registry);

  void SetReady(bool ready);
  // One step of kind kRun, with the time from its plan to its last result on this rank.
  void ObserveStep(StepPhase phase, absl::Duration duration, const StepTimings& timings);

 private:
  prometheus::Gauge& ready_;        // facet_group_ready
  prometheus::Counter& steps_;      // facet_steps_total
  prometheus::Histogram& prefill_;  // facet_step_duration_seconds{phase=...}
  prometheus::Histogram& decode_;
  prometheus::Histogram& mixed_;
  prometheus::Histogram& collective_;               // facet_collective_seconds: a step's share
  prometheus::Family<prometheus::Counter>& parts_;  // facet_step_part_seconds_total{part=...}
  prometheus::Counter& embedding_;
  prometheus::Counter& attention_;
  prometheus::Counter& mlp_;
  prometheus::Counter& head_;
};

// Of the leader.
class EngineMetrics {
 public:
  explicit EngineMetrics(prometheus::Registry& registry);

  // Positions that a page holds, in both pools.
  void SetPageTokens(int page_tokens) { page_tokens_ = page_tokens; }
  // Gauges and totals of the scheduler; `submitted` waits in front of it.
  void SetScheduler(const SchedulerStats& stats, int submitted);
  // A request was planned for the first time.
  void ObserveStart(absl::Duration queued, int prompt_tokens);
  void CountGenerated(int tokens);
  // kError counts its code as well.
  void CountFinish(FinishReason reason, const absl::Status& status);
  void ObserveSampling(absl::Duration duration);
  // The masks of a step's rows that have grammars.
  void ObserveMasks(absl::Duration duration, int rows);
  // A request's grammar is compiled or refused. `cached`: it was known.
  void ObserveGrammar(absl::Duration duration, bool cached);
  // Keywords of a request's tools that its grammar leaves out.
  void CountNotEnforced(size_t keywords);
  // From the end of one step's computation to the start of the next one's, with work at hand: what
  // the ranks wait for the leader. With facet_step_duration_seconds it makes up all time.
  void ObserveHost(absl::Duration duration);
  // A step failed, or the group's state did; no request's fault.
  void CountGroupError(const absl::Status& status);

 private:
  void CountError(const absl::Status& status);

  int page_tokens_ = 0;                                // set before any SetScheduler
  prometheus::Gauge& running_;                         // facet_requests_running
  prometheus::Gauge& waiting_;                         // facet_requests_waiting
  prometheus::Family<prometheus::Gauge>& pages_used_;  // facet_kv_pages_used{pool=...}
  prometheus::Gauge& global_used_;
  prometheus::Gauge& sliding_used_;
  prometheus::Family<prometheus::Gauge>& pages_capacity_;  // facet_kv_pages_capacity{pool=...}
  prometheus::Gauge& global_capacity_;
  prometheus::Gauge& sliding_capacity_;
  prometheus::Family<prometheus::Gauge>& pages_cached_;  // facet_kv_pages_cached{pool=...}
  prometheus::Gauge& global_cached_;
  prometheus::Gauge& sliding_cached_;
  prometheus::Family<prometheus::Gauge>& tokens_capacity_;  // facet_kv_capacity_tokens{pool=...}
  prometheus::Gauge& global_tokens_;
  prometheus::Gauge& sliding_tokens_;
  prometheus::Gauge& usage_;  // facet_kv_cache_usage_ratio: of the fuller pool
  prometheus::Counter& prompt_tokens_;
  prometheus::Counter& generation_tokens_;
  prometheus::Counter& preemptions_;
  prometheus::Counter& recomputed_tokens_;
  prometheus::Counter& prefix_query_tokens_;
  prometheus::Counter& prefix_hit_tokens_;
  prometheus::Counter& prefix_evictions_;
  prometheus::Histogram& queue_;                       // facet_request_queue_seconds
  prometheus::Histogram& host_;                        // facet_step_host_seconds
  prometheus::Counter& sampling_;                      // facet_sampling_seconds_total
  prometheus::Histogram& masks_;                       // facet_grammar_mask_seconds
  prometheus::Counter& masked_rows_;                   // facet_grammar_rows_total
  prometheus::Histogram& compilations_;                // facet_grammar_compile_seconds
  prometheus::Counter& grammar_hits_;                  // facet_grammar_cache_hits_total
  prometheus::Counter& grammar_misses_;                // facet_grammar_cache_misses_total
  prometheus::Counter& not_enforced_;                  // facet_grammar_not_enforced_total
  prometheus::Family<prometheus::Counter>& finished_;  // facet_requests_finished_total{reason=...}
  prometheus::Family<prometheus::Counter>& errors_;    // facet_errors_total{code=...}
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_METRICS_H_
