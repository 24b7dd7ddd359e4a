#include "tests/sim/simulator.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <utility>

#include "base/status_macros.h"

namespace facet {
namespace {

// Adds the time that it lives to a sum.
class Stopwatch {
 public:
  explicit Stopwatch(double* sum_us) : sum_us_(sum_us) {}
  ~Stopwatch() {
    const std::chrono::duration<double, std::micro> spent =
        std::chrono::steady_clock::now() - start_;
    *sum_us_ += spent.count();
  }

 private:
  double* const sum_us_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

class Simulator {
 public:
  Simulator(const SimOptions& options, const std::vector<TraceRequest>& trace,
            std::unique_ptr<Scheduler> scheduler)
      : options_(options),
        trace_(trace),
        scheduler_(std::move(scheduler)),
        last_token_s_(trace.size(), -1) {}

  SimReport Run() {
    while (true) {
      AddArrivals();
      const StepPlan plan = NextPlan();
      if (plan.kind == StepPlan::Kind::kRun) {
        Execute(plan);
      } else if (next_arrival_ < trace_.size()) {
        now_s_ = std::max(now_s_, trace_[next_arrival_].arrival_s);
      } else {
        return Report();
      }
    }
  }

 private:
  absl::Time Now() const { return absl::UnixEpoch() + absl::Seconds(now_s_); }

  void AddArrivals() {
    for (; next_arrival_ < trace_.size() && trace_[next_arrival_].arrival_s <= now_s_;
         ++next_arrival_) {
      const TraceRequest& from = trace_[next_arrival_];
      SequenceRequest request;
      request.id = static_cast<int64_t>(next_arrival_);
      request.prompt = PromptOf(from, request.id);
      request.max_new_tokens = from.output_tokens;
      request.priority = from.priority;
      if (options_.scheduler.enable_prefix_cache) {
        request.block_hashes.emplace(options_.scheduler.page_tokens, "");
        request.block_hashes->Extend(request.prompt);
      }
      const absl::Status status =
          scheduler_->Add(std::move(request), absl::UnixEpoch() + absl::Seconds(from.arrival_s));
      report_.refused += absl::IsResourceExhausted(status);
      report_.never_fit += absl::IsInvalidArgument(status);
    }
  }

  StepPlan NextPlan() {
    StepPlan plan;
    {
      const Stopwatch stopwatch(&scheduler_us_);
      plan = scheduler_->Next(Now());
    }
    for (const StartedRequest& started : scheduler_->TakeStarted()) {
      queue_s_.push_back(now_s_ - trace_[started.id].arrival_s);
    }
    return plan;
  }

  void Execute(const StepPlan& plan) {
    if (options_.plan_ahead) {
      const Stopwatch stopwatch(&scheduler_us_);
      scheduler_->PlanAhead(Now());
    }
    now_s_ += SecondsOf(plan);
    ++report_.steps;
    AddArrivals();
    std::vector<NewToken> tokens;
    for (const LogitsRow& row : scheduler_->rows()) {
      const auto token = static_cast<int32_t>((row.sequence_id * 31 + row.position) % 200000);
      tokens.push_back({row.sequence_id, token, false});
      NoteToken(row);
    }
    const Stopwatch stopwatch(&scheduler_us_);
    scheduler_->Commit(tokens);
  }

  double SecondsOf(const StepPlan& plan) {
    int64_t prefill = 0, decode = 0, context = 0;
    for (const SequenceStep& part : plan.sequences) {
      const auto tokens = static_cast<int64_t>(part.tokens.size());
      (tokens == 1 ? decode : prefill) += tokens;
      context += part.start_position + tokens;
    }
    step_tokens_ += prefill + decode;
    const StepCost& cost = options_.cost;
    return cost.fixed_s + prefill * cost.per_prefill_token_s + decode * cost.per_decode_token_s +
           context / 1000.0 * cost.per_1k_context_s;
  }

  void NoteToken(const LogitsRow& row) {
    const TraceRequest& request = trace_[row.sequence_id];
    double& last = last_token_s_[row.sequence_id];
    if (last < 0) {
      first_token_s_.push_back(now_s_ - request.arrival_s);
    } else {
      inter_token_s_.push_back(now_s_ - last);
    }
    last = now_s_;
    ++report_.output_tokens;
    const int generated = row.position - request.prompt_tokens + 1;
    const int room = options_.scheduler.max_context - request.prompt_tokens;
    if (generated == std::min(request.output_tokens, room)) {
      ++report_.finished;
      report_.prompt_tokens += request.prompt_tokens;
    }
  }

  SimReport Report() {
    report_.seconds = now_s_;
    report_.step_tokens = report_.steps == 0 ? 0 : step_tokens_ / report_.steps;
    report_.scheduler_us_per_step = report_.steps == 0 ? 0 : scheduler_us_ / report_.steps;
    report_.first_token_s = PercentilesOf(std::move(first_token_s_));
    report_.inter_token_s = PercentilesOf(std::move(inter_token_s_));
    report_.queue_s = PercentilesOf(std::move(queue_s_));
    report_.scheduler = scheduler_->stats();
    return report_;
  }

  const SimOptions options_;
  const std::vector<TraceRequest>& trace_;
  const std::unique_ptr<Scheduler> scheduler_;
  size_t next_arrival_ = 0;
  double now_s_ = 0;
  double step_tokens_ = 0;
  double scheduler_us_ = 0;
  std::vector<double> last_token_s_;  // of each request; -1: none yet
  std::vector<double> first_token_s_, inter_token_s_, queue_s_;
  SimReport report_;
};

}  // namespace

Percentiles PercentilesOf(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto at = [&values](double part) {
    const auto rank = static_cast<size_t>(std::ceil(part * values.size()));
    return values[std::max<size_t>(rank, 1) - 1];
  };
  return {at(0.50), at(0.90), at(0.99)};
}

absl::StatusOr<SimReport> Simulate(const SimOptions& options,
                                   const std::vector<TraceRequest>& trace) {
  FACET_ASSIGN_OR_RETURN(auto scheduler, Scheduler::Create(options.scheduler));
  return Simulator(options, trace, std::move(scheduler)).Run();
}

}  // namespace facet
