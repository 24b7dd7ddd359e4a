// What must hold for any load: random requests, priorities, cancels, deadlines and pool sizes, over
// a fake model whose memory is nothing but the pages that a plan names. Its next token is a hash of
// all keys that the page tables reach, so a lost, shared or too early reused page, a wrong
// position, a token out of order, a soft token that did not come or a block that was cut changes
// the result.

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "shard/scheduler/scheduler.h"

namespace facet {
namespace {

uint64_t Mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
  return hash ^ (hash >> 29);
}

constexpr int32_t kEndToken = 0;  // about one token in 40

int32_t TokenOf(uint64_t hash) { return hash % 40 == 0 ? kEndToken : 1 + (hash >> 8) % 100000; }

// What a position's pages hold: its token, or of its soft token what that sees. `start`: position
// of tokens[0].
std::vector<int32_t> KeysOf(std::vector<int32_t> tokens, int start,
                            const std::vector<SoftTokens>& soft_tokens) {
  for (const SoftTokens& run : soft_tokens) {
    for (int i = 0; i < run.count; ++i) {
      uint64_t seen = 3;
      for (char byte : FormsBlocks(run.kind) ? run.rows : run.rows.substr(i, 1)) {
        seen = Mix(seen, static_cast<uint8_t>(byte));
      }
      tokens.at(run.position - start + i) = static_cast<int32_t>(Mix(seen, run.position + i) >> 33);
    }
  }
  return tokens;
}

// The model by definition: sees the keys [0, p] through the global pool, if there is one, and the
// last `window` of them through the sliding pool, if there is one.
int32_t NextToken(const std::vector<int32_t>& tokens, const KvLayout& layout) {
  const int last = static_cast<int>(tokens.size()) - 1;
  uint64_t hash = Mix(1, last);
  if (layout.has_global) {
    for (int key = 0; key <= last; ++key) hash = Mix(hash, tokens[key]);
  }
  if (layout.has_sliding) {
    for (int key = std::max(0, last - layout.sliding_window + 1); key <= last; ++key) {
      hash = Mix(hash, tokens[key]);
    }
  }
  return TokenOf(hash);
}

// What a request yields when it is alone.
std::vector<int32_t> SoloRun(const SequenceRequest& request, const KvLayout& layout,
                             int max_context) {
  std::vector<int32_t> tokens = request.prompt;
  if (request.media != nullptr) tokens = KeysOf(tokens, 0, request.media->soft_tokens);
  std::vector<int32_t> generated;
  while (static_cast<int>(generated.size()) < request.max_new_tokens &&
         static_cast<int>(tokens.size()) < max_context) {
    generated.push_back(NextToken(tokens, layout));
    tokens.push_back(generated.back());
    if (generated.back() == kEndToken) break;
  }
  return generated;
}

// The same model over pages.
class FakeModel {
 public:
  FakeModel(const KvLayout& layout, int global_pages, int sliding_pages)
      : layout_(layout),
        global_(global_pages * layout.page_tokens, -1),
        sliding_(sliding_pages * layout.page_tokens, -1) {}

  // The next token of each row. Fails the test if a table does not reach a key.
  std::vector<int32_t> Run(const StepPlan& plan) {
    for (const SequenceStep& part : plan.sequences) Store(part);
    std::vector<int32_t> rows;
    for (const SequenceStep& part : plan.sequences) {
      for (int row = part.logits_from; row < static_cast<int>(part.tokens.size()); ++row) {
        rows.push_back(Row(part, part.start_position + row));
      }
    }
    return rows;
  }

 private:
  void Store(const SequenceStep& part) {
    const std::vector<int32_t> keys = KeysOf(part.tokens, part.start_position, part.soft_tokens);
    for (size_t i = 0; i < keys.size(); ++i) {
      const int position = part.start_position + static_cast<int>(i);
      if (layout_.has_global) *Key(part.global_pages, position, global_) = keys[i];
      if (layout_.has_sliding) *Key(part.sliding_pages, position, sliding_) = keys[i];
    }
  }

  int32_t Row(const SequenceStep& part, int last) {
    uint64_t hash = Mix(1, last);
    if (layout_.has_global) {
      for (int key = 0; key <= last; ++key) {
        hash = Mix(hash, *Key(part.global_pages, key, global_));
      }
    }
    if (layout_.has_sliding) {
      for (int key = std::max(0, last - layout_.sliding_window + 1); key <= last; ++key) {
        hash = Mix(hash, *Key(part.sliding_pages, key, sliding_));
      }
    }
    return TokenOf(hash);
  }

  int32_t* Key(const std::vector<int32_t>& table, int position, std::vector<int32_t>& memory) {
    static int32_t nowhere;
    const size_t block = position / layout_.page_tokens;
    if (block >= table.size() || table[block] < 0) {
      ADD_FAILURE() << "no page for position " << position;
      return &nowhere;
    }
    return &memory.at(table[block] * layout_.page_tokens + position % layout_.page_tokens);
  }

  const KvLayout layout_;
  std::vector<int32_t> global_;
  std::vector<int32_t> sliding_;
};

struct Load {
  std::string name;
  int seed;
  int steps;  // during which requests arrive
  double arrivals_per_step;
  int max_prompt;
  int max_new;
  bool priorities;
  bool cancels;
  bool deadlines;
  int min_preemptions;  // over all rounds, so that the load is known to press
  bool has_global = true;
  bool has_sliding = true;
  bool media = false;
};

class LoadTest {
 public:
  explicit LoadTest(const Load& load) : load_(load), random_(load.seed) {
    options_.page_tokens = 1 + Below(8);
    options_.max_step_tokens = 4 + Below(60);
    options_.max_running_sequences = 1 + Below(std::min(options_.max_step_tokens, 12));
    options_.max_queue = 20;
    options_.max_context = load.max_prompt + load.max_new;
    options_.sliding_window = 1 + Below(20);
    layout_.page_tokens = options_.page_tokens;
    layout_.has_global = load.has_global;
    layout_.has_sliding = load.has_sliding;
    layout_.sliding_window = options_.sliding_window;
    // From just enough for the longest sequence to about three of them: preemption is common.
    longest_block_ = load.media ? options_.max_unsplit_tokens() : 0;
    const PageDemand least =
        WorstCaseDemand(layout_, options_.max_context - 1, std::max(1, longest_block_));
    if (load.has_global) options_.global_pages = least.global + Below(2 * least.global + 1);
    if (load.has_sliding) options_.sliding_pages = least.sliding + Below(6 * least.sliding + 1);
    scheduler_ = std::move(Scheduler::Create(options_)).value();
    model_ = std::make_unique<FakeModel>(layout_, options_.global_pages, options_.sliding_pages);
  }

  void Run() {
    int idle_steps = 0;
    for (int step = 0; step < load_.steps; ++step) {
      std::poisson_distribution<int> arrivals(load_.arrivals_per_step);
      for (int n = arrivals(random_); n > 0; --n) AddOne();
      if (load_.cancels && Below(8) == 0) CancelOne();
      idle_steps += !Step();
      if (::testing::Test::HasFatalFailure()) return;
    }
    int drain_steps = 0;
    while (Step()) {
      ASSERT_LE(++drain_steps, 100000) << "live lock: " << live_.size() << " never end";
      if (::testing::Test::HasFatalFailure()) return;
    }
    EXPECT_LT(idle_steps, load_.steps) << "the load is too light to test anything";
    EXPECT_TRUE(live_.empty());
    const SchedulerStats stats = scheduler_->stats();
    EXPECT_EQ(stats.queued, 0);
    EXPECT_EQ(stats.running, 0);
    EXPECT_EQ(stats.global_pages_used, 0);
    EXPECT_EQ(stats.sliding_pages_used, 0);
  }

  int64_t preemptions() const { return scheduler_->stats().preemptions; }
  int finished() const { return finished_; }
  size_t blocks() const { return blocks_; }

 private:
  struct Live {
    SequenceRequest request;
    std::vector<int32_t> tokens;  // prompt and generated
    std::vector<int32_t> expected;
    int computed = 0;
  };

  int Below(int n) { return static_cast<int>(random_() % n); }

  void AddOne() {
    SequenceRequest request;
    request.id = ++last_id_;
    const int length = Below(4) == 0 ? load_.max_prompt : load_.max_prompt / 6 + 1;
    const int prompt_tokens = 1 + Below(length);
    for (int i = 0; i < prompt_tokens; ++i) request.prompt.push_back(1 + Below(1000));
    if (load_.media) AddMedia(&request);
    request.max_new_tokens = 1 + Below(2 * load_.max_new);  // may be more than there is room for
    if (load_.priorities) request.priority = Below(5) - 2;
    if (load_.deadlines && Below(4) == 0) request.deadline = now_ + absl::Seconds(1 + Below(40));
    const bool full = scheduler_->stats().queued >= options_.max_queue;
    const absl::Status status = scheduler_->Add(request, now_);
    EXPECT_EQ(status.ok(), !full) << status;
    if (!status.ok()) return;
    Live live;
    live.tokens = request.prompt;
    live.expected = SoloRun(request, layout_, options_.max_context);
    live.request = std::move(request);
    live_[live.request.id] = std::move(live);
  }

  // Pictures, frames and clips apart from each other, a byte a row.
  void AddMedia(SequenceRequest* request) {
    auto media = std::make_shared<PromptMedia>();
    const int prompt_tokens = static_cast<int>(request->prompt.size());
    for (int place = Below(10); place < prompt_tokens; place += 1 + Below(30)) {
      const auto kind = static_cast<MediaKind>(Below(3));
      const int longest = FormsBlocks(kind) ? longest_block_ : prompt_tokens;
      if (longest < 1) continue;
      const int count = 1 + Below(std::min(longest, prompt_tokens - place));
      std::string rows;
      for (int i = 0; i < count; ++i) rows.push_back(static_cast<char>(Below(256)));
      media->soft_tokens.push_back(OwnSoftTokens(place, count, kind, DType::kF32, std::move(rows)));
      place += count;
    }
    media->unsplit = BlocksOf(media->soft_tokens);
    blocks_ += media->unsplit.size();
    request->media = std::move(media);
  }

  void CancelOne() {
    if (live_.empty()) return;
    const auto victim = std::next(live_.begin(), Below(live_.size()));
    EXPECT_TRUE(scheduler_->Cancel(victim->first));
    live_.erase(victim);
  }

  // False if there was nothing to do.
  bool Step() {
    now_ += absl::Seconds(1);
    const StepPlan plan = scheduler_->Next(now_);
    for (int64_t id : scheduler_->TakeExpired()) {
      EXPECT_LE(live_.at(id).request.deadline, now_);
      live_.erase(id);
    }
    EXPECT_EQ(plan.step, ++step_);
    EXPECT_EQ(plan.kind == StepPlan::Kind::kIdle, live_.empty());
    if (plan.kind == StepPlan::Kind::kIdle) return false;
    CheckPlan(plan);
    const std::vector<int32_t> sampled = model_->Run(plan);
    if (load_.cancels && Below(8) == 0) CancelOne();  // the step is in flight
    CommitTokens(plan, sampled);
    return true;
  }

  void CheckPlan(const StepPlan& plan) {
    int tokens = 0;
    std::set<int64_t> ids;
    std::set<int32_t> global, sliding;
    for (const SequenceStep& part : plan.sequences) {
      tokens += part.tokens.size();
      EXPECT_TRUE(ids.insert(part.sequence_id).second);
      ASSERT_TRUE(live_.contains(part.sequence_id)) << part.sequence_id;
      CheckPart(part, live_.at(part.sequence_id));
      for (int32_t page : part.global_pages) EXPECT_TRUE(global.insert(page).second) << page;
      for (int32_t page : part.sliding_pages) {
        if (page < 0) continue;
        EXPECT_TRUE(sliding.insert(page).second) << page;
      }
    }
    EXPECT_LE(tokens, options_.max_step_tokens);
    EXPECT_LE(scheduler_->stats().running, options_.max_running_sequences);
    EXPECT_LE(static_cast<int>(global.size()), scheduler_->stats().global_pages_used);
    EXPECT_LE(static_cast<int>(sliding.size()), scheduler_->stats().sliding_pages_used);
    if (!load_.priorities) {
      // The oldest advances in every step: no load can starve it.
      EXPECT_TRUE(ids.contains(live_.begin()->first));
    }
  }

  // Tokens in order, from where the sequence stands or, after a preemption, from the start.
  void CheckPart(const SequenceStep& part, Live& live) {
    ASSERT_FALSE(part.tokens.empty());
    if (part.start_position != live.computed) {
      EXPECT_EQ(part.start_position, 0);
      ++restarts_;
      EXPECT_LE(restarts_, scheduler_->stats().preemptions);
    }
    const int end = part.start_position + static_cast<int>(part.tokens.size());
    ASSERT_LE(end, static_cast<int>(live.tokens.size()));
    EXPECT_TRUE(std::equal(part.tokens.begin(), part.tokens.end(),
                           live.tokens.begin() + part.start_position));
    const int yielding = end == static_cast<int>(live.tokens.size()) ? 1 : 0;
    EXPECT_EQ(part.logits_from, static_cast<int>(part.tokens.size()) - yielding);

    const size_t blocks = PagesFor(end, layout_.page_tokens);
    EXPECT_EQ(part.global_pages.size(), layout_.has_global ? blocks : 0);
    EXPECT_EQ(part.sliding_pages.size(), layout_.has_sliding ? blocks : 0);
    const int held = std::count_if(part.sliding_pages.begin(), part.sliding_pages.end(),
                                   [](int32_t page) { return page >= 0; });
    EXPECT_LE(held, WorstCaseDemand(layout_, end, part.tokens.size()).sliding);
  }

  void CommitTokens(const StepPlan& plan, const std::vector<int32_t>& sampled) {
    ASSERT_EQ(sampled.size(), scheduler_->rows().size());
    for (const SequenceStep& part : plan.sequences) {
      if (const auto live = live_.find(part.sequence_id); live != live_.end()) {
        live->second.computed = part.start_position + static_cast<int>(part.tokens.size());
      }
    }
    std::vector<NewToken> tokens;
    for (size_t row = 0; row < sampled.size(); ++row) {
      const int64_t id = scheduler_->rows()[row].sequence_id;
      const auto live = live_.find(id);
      if (live == live_.end()) {  // cancelled meanwhile: its token may be there or not
        if (Below(2) == 0) tokens.push_back({id, sampled[row], false});
        continue;
      }
      tokens.push_back({id, sampled[row], sampled[row] == kEndToken});
      Accept(live, sampled[row]);
    }
    scheduler_->Commit(tokens);
  }

  void Accept(std::map<int64_t, Live>::iterator live, int32_t token) {
    Live& sequence = live->second;
    const size_t place = sequence.tokens.size() - sequence.request.prompt.size();
    ASSERT_LT(place, sequence.expected.size());
    ASSERT_EQ(token, sequence.expected[place]) << "sequence " << live->first << ", " << place;
    sequence.tokens.push_back(token);
    if (place + 1 == sequence.expected.size()) {
      live_.erase(live);
      ++finished_;
    }
  }

  const Load load_;
  int longest_block_ = 0;
  std::mt19937 random_;
  Scheduler::Options options_;
  KvLayout layout_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<FakeModel> model_;
  std::map<int64_t, Live> live_;
  absl::Time now_ = absl::UnixEpoch();
  int64_t step_ = 0;
  int64_t last_id_ = 0;
  int64_t restarts_ = 0;
  int finished_ = 0;
  size_t blocks_ = 0;
};

class SchedulerPropertyTest : public ::testing::TestWithParam<Load> {};

TEST_P(SchedulerPropertyTest, EverySequenceEqualsItsSoloRun) {
  int64_t preemptions = 0;
  int finished = 0;
  size_t blocks = 0;
  for (int round = 0; round < 40; ++round) {
    Load load = GetParam();
    load.seed += 1000 * round;
    SCOPED_TRACE("seed " + std::to_string(load.seed));
    LoadTest test(load);
    test.Run();
    if (HasFatalFailure()) return;
    preemptions += test.preemptions();
    finished += test.finished();
    blocks += test.blocks();
  }
  EXPECT_GE(finished, 1000) << "the load is too light";
  EXPECT_GE(blocks, GetParam().media ? 1000u : 0u);
  EXPECT_GE(preemptions, GetParam().min_preemptions) << "the load does not press";
}

INSTANTIATE_TEST_SUITE_P(
    Loads, SchedulerPropertyTest,
    ::testing::ValuesIn(std::vector<Load>{
        {"light", 1, 1000, 0.1, 60, 20, false, false, false, 20},
        {"heavy", 2, 1000, 1.0, 60, 40, false, false, false, 200},
        {"long_prompts", 3, 600, 0.5, 400, 120, false, false, false, 0},
        {"long_answers", 4, 600, 0.5, 10, 200, false, false, false, 200},
        {"priorities", 5, 1000, 0.6, 60, 40, true, false, false, 200},
        {"cancels", 6, 1000, 0.8, 60, 40, false, true, false, 200},
        {"deadlines", 7, 1000, 0.6, 60, 40, false, false, true, 200},
        {"everything", 8, 1500, 0.8, 120, 60, true, true, true, 40},
        {"no_sliding_pool", 9, 600, 0.6, 60, 40, true, true, true, 100, true, false},
        {"no_global_pool", 10, 600, 0.6, 60, 40, true, true, true, 60, false, true},
        {"media", 11, 500, 0.5, 120, 30, false, false, false, 40, true, true, true},
        {"media_and_everything", 12, 500, 0.6, 120, 40, true, true, true, 40, true, true, true},
        {"media_without_a_sliding_pool", 13, 400, 0.6, 90, 30, true, true, true, 20, true, false,
         true},
    }),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace facet
