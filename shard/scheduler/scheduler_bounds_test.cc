// The bounds that a scheduler keeps, over 1,000 random traces: bursts, prompts of up to 8,192
// tokens, priorities, cancels, pauses, n completions, prompt rows, shared prefixes, small pools
// that force preemption; each with and without planning ahead.
//
//   (a) A sequence that got a token in a step is in the next one, unless paused, or all that are in
//       it come before it in order: then its pages were needed, or there was none for it.
//   (b) Where pages suffice, a prompt's first token comes within as many steps as it and the
//       prompts before it take, if each gets half of what decodes leave.
//   (c) Every sequence ends.
//   (d) Whoever loses pages comes last in order: priority, then arrival. The same check as (a).
//   (e) A step sees the tokens of each sequence, and KV pages with what was computed of just those.

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "shard/cache/block_hash.h"
#include "shard/scheduler/scheduler.h"

namespace facet {
namespace {

uint64_t Mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
  return hash ^ (hash >> 29);
}

// A sequence as its model sees it: what the KV of each position holds depends on all tokens up to
// it, and the next token on that.
struct Expected {
  SequenceRequest request;
  absl::Time serve_from;
  int64_t id = 0;
  std::vector<int32_t> tokens;
  std::vector<uint64_t> kv;  // of each token
  int end = 0;               // of `tokens`
  bool started = false;
  bool paused = false;
  int64_t last_token_step = -1;
  int64_t due_step = -1;  // (b)

  void Append(int32_t token) {
    kv.push_back(Mix(kv.empty() ? 7 : kv.back(), token));
    tokens.push_back(token);
  }
  int32_t NextToken() const { return static_cast<int32_t>(Mix(kv.back(), id) % 50000); }
  std::pair<absl::Time, int64_t> order() const { return {serve_from, id}; }
};

// The memory of a group: one number per position.
class Memory {
 public:
  Memory(int pages, int page_tokens) : page_tokens_(page_tokens), kv_(pages * page_tokens) {}

  void Copy(const std::vector<PageCopy>& copies) {
    std::set<int32_t> from, to;
    for (const PageCopy& copy : copies) {
      from.insert(copy.from);
      EXPECT_TRUE(to.insert(copy.to).second) << "two copies to page " << copy.to;
    }
    for (int32_t page : to) EXPECT_FALSE(from.contains(page)) << page << " is source and target";
    for (const PageCopy& copy : copies) {
      std::copy_n(kv_.begin() + copy.from * page_tokens_, page_tokens_,
                  kv_.begin() + copy.to * page_tokens_);
    }
  }
  uint64_t& At(const std::vector<int32_t>& table, int position) {
    return kv_.at(static_cast<size_t>(table.at(position / page_tokens_)) * page_tokens_ +
                  position % page_tokens_);
  }

 private:
  const int page_tokens_;
  std::vector<uint64_t> kv_;
};

struct Trace {
  bool tight = false;  // pools that force preemption
  bool ahead = false;
  bool extras = false;  // cancels, pauses, completions, prompt rows
  int max_prompt = 300;
};

class TraceRun {
 public:
  TraceRun(const Trace& trace, int seed) : trace_(trace), random_(seed) {
    options_.page_tokens = 4 << Below(3);
    options_.max_step_tokens = 32 + Below(trace.max_prompt > 1000 ? 1000 : 100);
    options_.max_running_sequences = 2 + Below(14);
    options_.max_logit_rows = options_.max_running_sequences + Below(20);
    options_.max_queue = 40;
    options_.max_context = trace.max_prompt + 60;
    options_.sliding_window = 1 + Below(40);
    options_.global_pages = options_.sliding_pages = 1;  // both are there
    const KvLayout layout = options_.layout();
    const PageDemand least = WorstCaseDemand(layout, options_.max_context, 1);
    const PageDemand most = WorstCaseDemand(layout, options_.max_context, options_.max_step_tokens);
    if (trace.tight) {
      options_.global_pages = least.global + Below(least.global / 2 + 1);
      options_.sliding_pages = least.sliding + Below(2 * least.sliding);
    } else {
      options_.global_pages = (most.global + 2) * (2 * options_.max_running_sequences + 2);
      options_.sliding_pages = (most.sliding + 2) * (2 * options_.max_running_sequences + 2);
    }
    global_ = std::make_unique<Memory>(options_.global_pages, options_.page_tokens);
    sliding_ = std::make_unique<Memory>(options_.sliding_pages, options_.page_tokens);
    scheduler_ = std::move(Scheduler::Create(options_)).value();
  }

  void Run() {
    for (int step = 0; step < 60; ++step) {
      if (Below(12) == 0) {
        for (int burst = 1 + Below(10); burst > 0; --burst) AddOne();
      }
      Step();
      if (::testing::Test::HasFailure()) return;
    }
    for (auto& [id, live] : live_) Pause(live, false);
    draining_ = true;
    for (int steps = 0; !live_.empty(); ++steps) {
      ASSERT_LE(steps, 20000) << live_.size() << " never end";  // (c)
      Step();
      if (::testing::Test::HasFailure()) return;
    }
    const SchedulerStats stats = scheduler_->stats();
    EXPECT_EQ(stats.queued + stats.running, 0);
    EXPECT_EQ(stats.global_pages_used, 0);
    EXPECT_EQ(stats.sliding_pages_used, 0);
  }

  int page_copies() const { return page_copies_; }
  SchedulerStats stats() const { return scheduler_->stats(); }
  // Everything that was generated, by id.
  const std::map<int64_t, std::vector<int32_t>>& finished() const { return finished_; }

 private:
  int Below(int n) { return static_cast<int>(random_() % n); }

  void AddOne() {
    SequenceRequest request;
    request.id = next_id_;
    request.prompt = RandomPrompt();
    request.max_new_tokens = 1 + Below(60);
    request.priority = Below(3) == 0 ? Below(3) - 1 : 0;
    if (trace_.extras) {
      request.n = Below(5) == 0 ? 1 + Below(5) : 1;
      request.prompt_logits = Below(8) == 0;
    }
    if (Below(10) > 0) {
      request.block_hashes.emplace(options_.page_tokens, "tenant");
      request.block_hashes->Extend(request.prompt);
    }
    next_id_ += request.n;
    if (!scheduler_->Add(request, now_).ok()) return;  // the queue is full
    for (int i = 0; i < request.n; ++i) {
      Expected live;
      live.id = request.id + i;
      live.serve_from = now_ - request.priority * options_.priority_step;
      for (int32_t token : request.prompt) live.Append(token);
      live.end =
          std::min<int>(request.prompt.size() + request.max_new_tokens, options_.max_context);
      live.request = request;
      DelayThoseBehind(live);
      live_[live.id] = std::move(live);
    }
  }

  // One in two starts as one of three others does.
  std::vector<int32_t> RandomPrompt() {
    const int tokens = 1 + Below(Below(3) == 0 ? trace_.max_prompt : trace_.max_prompt / 8);
    std::vector<int32_t> prompt(tokens);
    const int prefix = Below(2) == 0 ? Below(tokens + 1) : 0;
    const int kind = Below(3);
    for (int i = 0; i < tokens; ++i) prompt[i] = i < prefix ? 1000 * kind + i % 97 : Below(50000);
    return prompt;
  }

  void Pause(Expected& live, bool paused) {
    live.paused = paused;
    scheduler_->SetPaused(live.id, paused);
  }

  void Meddle() {
    if (!trace_.extras || draining_ || live_.empty()) return;
    const auto victim = std::next(live_.begin(), Below(live_.size()));
    switch (Below(20)) {
      case 0:
        EXPECT_TRUE(scheduler_->Cancel(victim->first));
        live_.erase(victim);
        break;
      case 1:
        Pause(victim->second, true);
        break;
      case 2:
        for (auto& [id, live] : live_) Pause(live, false);
        break;
      case 3:
        AddOne();
        break;
    }
  }

  void Step() {
    now_ += absl::Milliseconds(500);
    Meddle();
    StepPlan plan = scheduler_->Next(now_);
    ++step_;
    if (plan.kind == StepPlan::Kind::kIdle) {
      for (const auto& [id, live] : live_) EXPECT_TRUE(live.paused) << id;
      return;
    }
    CheckBudget(plan);
    CheckOrder(plan);
    Execute(plan);
    CheckRows(plan);
    Meddle();
    if (trace_.ahead) scheduler_->PlanAhead(now_);
    Meddle();
    Commit();
    if (Below(4) > 0) scheduler_->Recycle(std::move(plan));
  }

  void CheckBudget(const StepPlan& plan) {
    int tokens = 0, rows = 0;
    for (const SequenceStep& part : plan.sequences) {
      tokens += part.tokens.size();
      rows += part.tokens.size() - part.logits_from;
    }
    EXPECT_LE(tokens, options_.max_step_tokens);
    EXPECT_LE(rows, options_.max_logit_rows);
    EXPECT_LE(scheduler_->stats().running, options_.max_running_sequences);
  }

  // (a), (d).
  void CheckOrder(const StepPlan& plan) {
    std::set<int64_t> planned;
    auto last = live_.begin()->second.order();
    for (const SequenceStep& part : plan.sequences) {
      planned.insert(part.sequence_id);
      const Expected& live = live_.at(part.sequence_id);
      last = planned.size() == 1 ? live.order() : std::max(last, live.order());
    }
    for (const auto& [id, live] : live_) {
      if (live.paused || live.last_token_step != step_ - 1 || planned.contains(id)) continue;
      if (live.request.n > 1 && live.tokens.size() == live.request.prompt.size() + 1) continue;
      EXPECT_GT(live.order(), last) << "sequence " << id << " was held up";
      EXPECT_TRUE(trace_.tight) << id;
    }
  }

  // (e).
  void Execute(const StepPlan& plan) {
    page_copies_ += plan.global_copies.size() + plan.sliding_copies.size();
    global_->Copy(plan.global_copies);
    sliding_->Copy(plan.sliding_copies);
    for (const SequenceStep& part : plan.sequences) Check(part, live_.at(part.sequence_id));
    for (const SequenceStep& part : plan.sequences) {
      const Expected& live = live_.at(part.sequence_id);
      for (size_t i = 0; i < part.tokens.size(); ++i) {
        const int position = part.start_position + static_cast<int>(i);
        global_->At(part.global_pages, position) = live.kv[position];
        sliding_->At(part.sliding_pages, position) = live.kv[position];
      }
    }
    // Nobody wrote into what another reads.
    for (const SequenceStep& part : plan.sequences) Check(part, live_.at(part.sequence_id));
  }

  void Check(const SequenceStep& part, Expected& live) {
    const int start = part.start_position;
    ASSERT_LE(start + part.tokens.size(), live.tokens.size());
    EXPECT_TRUE(std::equal(part.tokens.begin(), part.tokens.end(), live.tokens.begin() + start));
    for (int position = 0; position < start; ++position) {
      ASSERT_EQ(global_->At(part.global_pages, position), live.kv[position])
          << "sequence " << live.id << ", position " << position;
    }
    for (int position = std::max(0, start - options_.sliding_window + 1); position < start;
         ++position) {
      ASSERT_EQ(sliding_->At(part.sliding_pages, position), live.kv[position])
          << "sequence " << live.id << ", position " << position;
    }
    if (!live.started) NoteStart(live);
  }

  // Steps that a prompt takes at most of a step's tokens for prompts.
  int StepsOf(const Expected& live) const {
    const int least = (options_.max_step_tokens - options_.max_running_sequences + 1) / 2;
    return static_cast<int>(live.tokens.size() + least - 1) / least;
  }

  void DelayThoseBehind(const Expected& newcomer) {
    for (auto& [id, live] : live_) {
      if (live.due_step >= 0 && newcomer.order() < live.order()) live.due_step += StepsOf(newcomer);
    }
  }

  // (b): when its first token is due.
  void NoteStart(Expected& live) {
    live.started = true;
    if (trace_.tight || trace_.extras) return;
    int64_t steps = 0;
    for (const auto& [id, other] : live_) {
      if (other.tokens.size() > other.request.prompt.size()) continue;
      if (other.order() > live.order()) continue;
      steps += StepsOf(other);
    }
    live.due_step = step_ + steps;
  }

  void CheckRows(const StepPlan& plan) {
    std::map<int64_t, int> of_part;
    for (const SequenceStep& part : plan.sequences) {
      of_part[part.sequence_id] = part.start_position + static_cast<int>(part.tokens.size());
    }
    for (const LogitsRow& row : scheduler_->rows()) {
      Expected& live = live_.at(row.sequence_id);
      if (row.is_prompt) {
        EXPECT_EQ(row.position, ++prompt_rows_[live.request.id]);
        EXPECT_TRUE(live.request.prompt_logits);
      } else {
        EXPECT_EQ(row.position, static_cast<int>(live.tokens.size()));
      }
    }
  }

  void Commit() {
    std::vector<NewToken> tokens;
    for (const LogitsRow& row : scheduler_->rows()) {
      if (row.is_prompt) continue;
      const auto found = live_.find(row.sequence_id);
      if (found == live_.end()) {  // cancelled since
        if (Below(2) == 0) tokens.push_back({row.sequence_id, 1, false});
        continue;
      }
      Expected& live = found->second;
      const int32_t token = live.NextToken();
      const bool ends = token % 50 == 0;
      tokens.push_back({live.id, token, ends});
      live.Append(token);
      live.last_token_step = step_;
      if (live.due_step >= 0 && live.tokens.size() == live.request.prompt.size() + 1) {
        EXPECT_LE(step_, live.due_step) << "sequence " << live.id << " was starved";
      }
      if (ends || static_cast<int>(live.tokens.size()) == live.end) {
        finished_[live.id] = live.tokens;
        live_.erase(found);
      }
    }
    scheduler_->Commit(tokens);
  }

  const Trace trace_;
  std::mt19937 random_;
  Scheduler::Options options_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<Memory> global_, sliding_;
  std::map<int64_t, Expected> live_;
  std::map<int64_t, std::vector<int32_t>> finished_;
  std::map<int64_t, int> prompt_rows_;  // by request
  absl::Time now_ = absl::UnixEpoch();
  int64_t step_ = 0;
  int64_t next_id_ = 1;
  int page_copies_ = 0;
  bool draining_ = false;
};

struct TraceCase {
  std::string name;
  Trace trace;
  int traces;
  int least_preemptions;
};
class SchedulerBoundsTest : public ::testing::TestWithParam<TraceCase> {};

TEST_P(SchedulerBoundsTest, HoldOverRandomTraces) {
  const TraceCase& c = GetParam();
  int64_t preemptions = 0, hits = 0, copies = 0;
  size_t finished = 0;
  for (int seed = 0; seed < c.traces; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TraceRun run(c.trace, seed);
    run.Run();
    ASSERT_FALSE(HasFailure());
    preemptions += run.stats().preemptions;
    hits += run.stats().prefix_hit_tokens;
    copies += run.page_copies();
    finished += run.finished().size();
  }
  EXPECT_GE(hits, (c.trace.tight ? 5 : 100) * c.traces);
  EXPECT_GE(copies, c.trace.extras ? c.traces : 0);
  EXPECT_GE(preemptions, c.least_preemptions);
  EXPECT_GE(finished, 10u * c.traces) << "the load is too light";
}

INSTANTIATE_TEST_SUITE_P(Traces, SchedulerBoundsTest,
                         ::testing::ValuesIn(std::vector<TraceCase>{
                             {"roomy", {false, false, false, 300}, 150, 0},
                             {"roomy_planned_ahead", {false, true, false, 300}, 150, 0},
                             {"tight", {true, false, false, 300}, 150, 100},
                             {"tight_planned_ahead", {true, true, false, 300}, 150, 100},
                             {"meddled_with", {false, true, true, 300}, 100, 0},
                             {"tight_and_meddled_with", {true, false, true, 300}, 125, 150},
                             {"tight_meddled_planned_ahead", {true, true, true, 300}, 125, 150},
                             {"long_prompts", {false, true, false, 8192}, 25, 0},
                             {"long_prompts_tight", {true, true, true, 8192}, 25, 1},
                         }),
                         [](const auto& info) { return info.param.name; });

// Planning ahead may move work between steps, never change a token.
TEST(SchedulerPlanAhead, ChangesNoToken) {
  int compared = 0;
  for (int seed = 0; seed < 100; ++seed) {
    Trace trace;
    trace.tight = seed % 2 == 0;
    TraceRun plain(trace, seed);
    plain.Run();
    trace.ahead = true;
    TraceRun ahead(trace, seed);
    ahead.Run();
    ASSERT_FALSE(HasFailure()) << seed;
    for (const auto& [id, tokens] : plain.finished()) {
      const auto same = ahead.finished().find(id);
      if (same == ahead.finished().end()) continue;  // the queue was full
      EXPECT_EQ(tokens, same->second) << "seed " << seed << ", sequence " << id;
      ++compared;
    }
  }
  EXPECT_GE(compared, 2000);
}

}  // namespace
}  // namespace facet
