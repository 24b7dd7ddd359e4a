#include "shard/group/metrics.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"

namespace facet {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Registry;

// 0.5 ms to 60 s: from a step of a toy to a long prompt on a slow machine.
const Histogram::BucketBoundaries& StepBuckets() {
  static const auto* buckets = new Histogram::BucketBoundaries{
      0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60};
  return *buckets;
}

// 10 us to 10 s: shared memory is that quick, and a lost rank that slow.
const Histogram::BucketBoundaries& ExchangeBuckets() {
  static const auto* buckets = new Histogram::BucketBoundaries{
      0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01,
      0.02,    0.05,    0.1,     0.2,    0.5,    1,      2,     5,     10};
  return *buckets;
}

Family<Gauge>& GaugeFamily(Registry& registry, const char* name, const char* help) {
  return BuildGauge().Name(name).Help(help).Register(registry);
}
Family<Counter>& CounterFamily(Registry& registry, const char* name, const char* help) {
  return BuildCounter().Name(name).Help(help).Register(registry);
}
Gauge& OneGauge(Registry& registry, const char* name, const char* help) {
  return GaugeFamily(registry, name, help).Add({});
}
Counter& OneCounter(Registry& registry, const char* name, const char* help) {
  return CounterFamily(registry, name, help).Add({});
}

Histogram& StepHistogram(Registry& registry, const char* phase) {
  return BuildHistogram()
      .Name("facet_step_duration_seconds")
      .Help("Time of one step on this rank, by what its sequences did.")
      .Register(registry)
      .Add({{"phase", phase}}, StepBuckets());
}

const char* ReasonName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kError:
    case FinishReason::kNone:
      break;
  }
  return "error";
}

// Totals that another component counts from the start: bring ours there.
void RaiseTo(Counter& counter, int64_t total) {
  counter.Increment(std::max(0.0, static_cast<double>(total) - counter.Value()));
}

}  // namespace

StepMetrics::StepMetrics(Registry& registry)
    : ready_(OneGauge(registry, "facet_group_ready",
                      "1 when all ranks of this rank's group have loaded and the group serves.")),
      steps_(OneCounter(registry, "facet_steps_total", "Steps that this rank executed.")),
      prefill_(StepHistogram(registry, "prefill")),
      decode_(StepHistogram(registry, "decode")),
      mixed_(StepHistogram(registry, "mixed")),
      collective_(BuildHistogram()
                      .Name("facet_collective_seconds")
                      .Help("Share of one step spent waiting for and exchanging with other ranks.")
                      .Register(registry)
                      .Add({}, ExchangeBuckets())),
      parts_(CounterFamily(registry, "facet_step_part_seconds_total",
                           "Time of this rank in the parts of its steps, exchange left out.")),
      embedding_(parts_.Add({{"part", "embedding"}})),
      attention_(parts_.Add({{"part", "attention"}})),
      mlp_(parts_.Add({{"part", "mlp"}})),
      head_(parts_.Add({{"part", "head"}})) {}

void StepMetrics::SetReady(bool ready) { ready_.Set(ready ? 1 : 0); }

void StepMetrics::ObserveStep(StepPhase phase, absl::Duration duration,
                              const StepTimings& timings) {
  steps_.Increment();
  Histogram& histogram = phase == StepPhase::kPrefill  ? prefill_
                         : phase == StepPhase::kDecode ? decode_
                                                       : mixed_;
  histogram.Observe(absl::ToDoubleSeconds(duration));
  collective_.Observe(absl::ToDoubleSeconds(timings.collective));
  embedding_.Increment(absl::ToDoubleSeconds(timings.embedding));
  attention_.Increment(absl::ToDoubleSeconds(timings.attention));
  mlp_.Increment(absl::ToDoubleSeconds(timings.mlp));
  head_.Increment(absl::ToDoubleSeconds(timings.head));
}

EngineMetrics::EngineMetrics(Registry& registry)
    : running_(OneGauge(registry, "facet_requests_running", "Requests that hold KV pages.")),
      waiting_(OneGauge(registry, "facet_requests_waiting", "Requests that wait for KV pages.")),
      pages_used_(GaugeFamily(registry, "facet_kv_pages_used", "KV pages in use.")),
      global_used_(pages_used_.Add({{"pool", "global"}})),
      sliding_used_(pages_used_.Add({{"pool", "sliding"}})),
      pages_capacity_(GaugeFamily(registry, "facet_kv_pages_capacity", "KV pages that there are.")),
      global_capacity_(pages_capacity_.Add({{"pool", "global"}})),
      sliding_capacity_(pages_capacity_.Add({{"pool", "sliding"}})),
      pages_cached_(GaugeFamily(registry, "facet_kv_pages_cached",
                                "KV pages of the prefix cache that no request uses.")),
      global_cached_(pages_cached_.Add({{"pool", "global"}})),
      sliding_cached_(pages_cached_.Add({{"pool", "sliding"}})),
      tokens_capacity_(
          GaugeFamily(registry, "facet_kv_capacity_tokens", "Positions that the KV pages hold.")),
      global_tokens_(tokens_capacity_.Add({{"pool", "global"}})),
      sliding_tokens_(tokens_capacity_.Add({{"pool", "sliding"}})),
      usage_(OneGauge(registry, "facet_kv_cache_usage_ratio",
                      "Share of the KV pages in use, of the pool where it is larger.")),
      prompt_tokens_(OneCounter(registry, "facet_prompt_tokens_total",
                                "Prompt tokens of requests that were started.")),
      generation_tokens_(
          OneCounter(registry, "facet_generation_tokens_total", "Tokens that were generated.")),
      preemptions_(OneCounter(registry, "facet_preemptions_total",
                              "Times that a running request lost its KV pages to others.")),
      recomputed_tokens_(OneCounter(registry, "facet_recomputed_tokens_total",
                                    "Tokens computed again after a preemption.")),
      prefix_query_tokens_(OneCounter(registry, "facet_prefix_cache_query_tokens_total",
                                      "Prompt tokens that were looked up in the prefix cache.")),
      prefix_hit_tokens_(OneCounter(registry, "facet_prefix_cache_hit_tokens_total",
                                    "Prompt tokens that were taken from the prefix cache.")),
      prefix_evictions_(OneCounter(registry, "facet_prefix_cache_evictions_total",
                                   "Pages that the prefix cache gave up for others.")),
      queue_(BuildHistogram()
                 .Name("facet_request_queue_seconds")
                 .Help("Time of a request from its arrival to its first step.")
                 .Register(registry)
                 .Add({}, StepBuckets())),
      host_(BuildHistogram()
                .Name("facet_step_host_seconds")
                .Help("Time between the computation of one step and the next: sampling, planning.")
                .Register(registry)
                .Add({}, ExchangeBuckets())),
      sampling_(OneCounter(registry, "facet_sampling_seconds_total",
                           "Time spent choosing tokens from logits.")),
      masks_(BuildHistogram()
                 .Name("facet_grammar_mask_seconds")
                 .Help("Time a step spent on the masks of grammars, beside its computation.")
                 .Register(registry)
                 .Add({}, ExchangeBuckets())),
      masked_rows_(
          OneCounter(registry, "facet_grammar_rows_total", "Tokens chosen under a grammar.")),
      compilations_(BuildHistogram()
                        .Name("facet_grammar_compile_seconds")
                        .Help("Time to compile a request's grammar, or to find it unsound.")
                        .Register(registry)
                        .Add({}, StepBuckets())),
      grammar_hits_(OneCounter(registry, "facet_grammar_cache_hits_total",
                               "Requests whose grammar was compiled already.")),
      grammar_misses_(OneCounter(registry, "facet_grammar_cache_misses_total",
                                 "Requests whose grammar had to be compiled.")),
      not_enforced_(OneCounter(registry, "facet_grammar_not_enforced_total",
                               "Keywords of tools' schemas that calls were not held to")),
      finished_(CounterFamily(registry, "facet_requests_finished_total",
                              "Requests that ended, by how they ended.")),
      errors_(CounterFamily(registry, "facet_errors_total", "Errors by status code.")) {
  for (const char* reason : {"stop", "length", "cancelled", "error"}) {
    finished_.Add({{"reason", reason}});
  }
}

void EngineMetrics::SetScheduler(const SchedulerStats& stats, int submitted) {
  running_.Set(stats.running);
  waiting_.Set(stats.queued + submitted);
  global_used_.Set(stats.global_pages_used);
  sliding_used_.Set(stats.sliding_pages_used);
  global_capacity_.Set(stats.global_pages_total);
  sliding_capacity_.Set(stats.sliding_pages_total);
  const auto share = [](int used, int total) { return total > 0 ? double(used) / total : 0.0; };
  usage_.Set(std::max(share(stats.global_pages_used, stats.global_pages_total),
                      share(stats.sliding_pages_used, stats.sliding_pages_total)));
  RaiseTo(preemptions_, stats.preemptions);
  RaiseTo(recomputed_tokens_, stats.recomputed_tokens);
  global_cached_.Set(stats.global_pages_cached);
  sliding_cached_.Set(stats.sliding_pages_cached);
  global_tokens_.Set(double(stats.global_pages_total) * page_tokens_);
  sliding_tokens_.Set(double(stats.sliding_pages_total) * page_tokens_);
  RaiseTo(prefix_query_tokens_, stats.prefix_query_tokens);
  RaiseTo(prefix_hit_tokens_, stats.prefix_hit_tokens);
  RaiseTo(prefix_evictions_, stats.evictions);
}

void EngineMetrics::ObserveStart(absl::Duration queued, int prompt_tokens) {
  queue_.Observe(absl::ToDoubleSeconds(queued));
  prompt_tokens_.Increment(prompt_tokens);
}

void EngineMetrics::CountGenerated(int tokens) { generation_tokens_.Increment(tokens); }

void EngineMetrics::CountFinish(FinishReason reason, const absl::Status& status) {
  finished_.Add({{"reason", ReasonName(reason)}}).Increment();
  if (reason == FinishReason::kError) CountError(status);
}

void EngineMetrics::ObserveSampling(absl::Duration duration) {
  sampling_.Increment(absl::ToDoubleSeconds(duration));
}

void EngineMetrics::ObserveMasks(absl::Duration duration, int rows) {
  masks_.Observe(absl::ToDoubleSeconds(duration));
  masked_rows_.Increment(rows);
}

void EngineMetrics::ObserveGrammar(absl::Duration duration, bool cached) {
  (cached ? grammar_hits_ : grammar_misses_).Increment();
  if (!cached) compilations_.Observe(absl::ToDoubleSeconds(duration));
}

void EngineMetrics::CountNotEnforced(size_t keywords) {
  not_enforced_.Increment(static_cast<double>(keywords));
}

void EngineMetrics::ObserveHost(absl::Duration duration) {
  host_.Observe(absl::ToDoubleSeconds(duration));
}

void EngineMetrics::CountGroupError(const absl::Status& status) { CountError(status); }

void EngineMetrics::CountError(const absl::Status& status) {
  const std::string code = absl::AsciiStrToLower(absl::StatusCodeToString(status.code()));
  errors_.Add({{"code", code}}).Increment();
}

}  // namespace facet
