// What a rank promises beside right numbers: what it exchanges and when, what it refuses, what it
// takes of memory. On the checkpoints of this folder.

#include "shard/transformer/rank_model.h"

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cpu/cpu_backend.h"
#include "shard/collective/testing/in_process_collective.h"
#include "shard/planner/memory_plan.h"
#include "tests/golden/golden_model.h"

namespace facet::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

GoldenModel Load(const std::string& variant) {
  auto model = LoadGoldenModel(absl::StrCat("tests/golden/", variant));
  FACET_CHECK(model.ok()) << model.status().ToString();
  return *std::move(model);
}

std::unique_ptr<CpuBackend> MakeBackend() {
  CpuOptions options;
  options.threads = 1;
  return *CpuBackend::Create(options);
}

RankOptions Options(int rank = 0, int world_size = 1) {
  RankOptions options;
  options.rank = rank;
  options.world_size = world_size;
  options.page_tokens = 16;
  options.global_pages = 8;
  options.sliding_pages = 8;
  options.max_step_tokens = 32;
  options.max_logit_rows = 4;
  return options;
}

// Five tokens of one sequence, the last `logit_rows` with logits.
StepPlan FiveTokens(int logit_rows) {
  SequenceStep sequence;
  sequence.tokens = {2, 7, 8, 9, 10};
  sequence.logits_from = 5 - logit_rows;
  sequence.global_pages = {3};
  sequence.sliding_pages = {5};
  StepPlan plan;
  plan.sequences = {sequence};
  return plan;
}

// Passes on to a real group and notes the size of every sum and gather.
class RecordingCollective : public Collective {
 public:
  explicit RecordingCollective(Collective* real) : real_(real) {}

  int rank() const override { return real_->rank(); }
  int world_size() const override { return real_->world_size(); }
  absl::Status AllReduceSum(absl::Span<float> data) override {
    sums.push_back(static_cast<int>(data.size()));
    return real_->AllReduceSum(data);
  }
  absl::Status AllGather(absl::Span<const uint8_t> mine, absl::Span<uint8_t> all) override {
    gathers.push_back(static_cast<int>(mine.size()));
    return real_->AllGather(mine, all);
  }
  absl::Status ReduceScatterSum(absl::Span<const float> in, absl::Span<float> out) override {
    return absl::UnimplementedError("not expected");
  }
  absl::Status AllToAll(absl::Span<const uint8_t> in, absl::Span<uint8_t> out) override {
    return absl::UnimplementedError("not expected");
  }
  absl::Status Broadcast(absl::Span<uint8_t> data, int root) override {
    return absl::UnimplementedError("not expected");
  }
  absl::Status Barrier() override { return absl::UnimplementedError("not expected"); }
  void Abort(absl::Status reason) override { real_->Abort(reason); }
  void set_timeout(absl::Duration timeout) override { real_->set_timeout(timeout); }

  std::vector<int> sums;     // elements
  std::vector<int> gathers;  // bytes of this rank

 private:
  Collective* real_;
};

// Two ranks of `variant`; each runs the plan on a thread of its own.
class TwoRanks {
 public:
  explicit TwoRanks(const std::string& variant) : model_(Load(variant)) {
    group_ = MakeInProcessGroup(2, absl::Seconds(20));
    for (int rank = 0; rank < 2; ++rank) {
      backends_.push_back(MakeBackend());
      recorders_.push_back(std::make_unique<RecordingCollective>(group_[rank].get()));
      auto loaded = RankModel::Load(model_.config, *model_.checkpoint, Options(rank, 2),
                                    backends_[rank].get(), recorders_[rank].get());
      FACET_CHECK(loaded.ok()) << loaded.status().ToString();
      ranks_.push_back(*std::move(loaded));
    }
  }

  // Of rank 0.
  absl::Status Run(const StepPlan& plan) {
    recorders_[0]->sums.clear();
    recorders_[0]->gathers.clear();
    absl::Status other;
    std::thread thread([&] { other = ranks_[1]->Forward(plan).status(); });
    const absl::Status status = ranks_[0]->Forward(plan).status();
    thread.join();
    EXPECT_EQ(other.code(), status.code()) << other;
    return status;
  }

  const ModelConfig& config() const { return model_.config; }
  const std::vector<int>& sums() const { return recorders_[0]->sums; }
  const std::vector<int>& gathers() const { return recorders_[0]->gathers; }
  RankModel& rank(int i) { return *ranks_[i]; }
  Collective& collective(int i) { return *group_[i]; }

 private:
  const GoldenModel model_;
  std::vector<std::unique_ptr<Collective>> group_;
  std::vector<std::unique_ptr<CpuBackend>> backends_;
  std::vector<std::unique_ptr<RecordingCollective>> recorders_;
  std::vector<std::unique_ptr<RankModel>> ranks_;
};

TEST(RankExchangeTest, EveryHalfLayerEndsInOneSumOfItsRows) {
  TwoRanks ranks("dense");
  ASSERT_THAT(ranks.Run(FiveTokens(5 - 1)), IsOk());
  const int hidden = ranks.config().hidden_size;
  // The last layer stores K/V of all five rows, then goes on with the four that want logits.
  std::vector<int> expected(2 * ranks.config().num_layers - 2, 5 * hidden);
  expected.insert(expected.end(), 2, 4 * hidden);
  EXPECT_EQ(ranks.sums(), expected);
  EXPECT_THAT(ranks.gathers(), ElementsAre(4 * 256 * static_cast<int>(sizeof(float))));
}

TEST(RankExchangeTest, DenseHalfAndExpertsShareASum) {
  TwoRanks ranks("moe");
  ASSERT_THAT(ranks.Run(FiveTokens(1)), IsOk());
  const int hidden = ranks.config().hidden_size;
  ASSERT_EQ(ranks.sums().size(), 2u * ranks.config().num_layers);
  EXPECT_EQ(ranks.sums()[0], 5 * hidden);
  EXPECT_EQ(ranks.sums()[1], 5 * 2 * hidden);
  EXPECT_EQ(ranks.sums().back(), 1 * 2 * hidden);
}

// Five layers own K/V, five read theirs.
TEST(RankExchangeTest, SharedLayersRunOnlyRowsWithLogits) {
  TwoRanks ranks("ple");
  const int hidden = ranks.config().hidden_size;
  ASSERT_EQ(ranks.config().num_owning_layers, 5);
  ASSERT_THAT(ranks.Run(FiveTokens(2)), IsOk());
  std::vector<int> expected(8, 5 * hidden);
  expected.insert(expected.end(), 12, 2 * hidden);
  EXPECT_EQ(ranks.sums(), expected);

  ASSERT_THAT(ranks.Run(FiveTokens(0)), IsOk());
  EXPECT_EQ(ranks.sums(), std::vector<int>(8, 5 * hidden));
  EXPECT_TRUE(ranks.gathers().empty());
}

TEST(RankExchangeTest, ABrokenGroupIsReportedWithThePlace) {
  TwoRanks ranks("dense");
  ASSERT_THAT(ranks.Run(FiveTokens(1)), IsOk());
  ranks.collective(1).Abort(absl::UnavailableError("rank 1 was told to leave"));
  EXPECT_THAT(ranks.rank(0).Forward(FiveTokens(1)),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("sum over the ranks after the attention of layer 0")));
}

TEST(RankExchangeTest, AMissingRankEndsTheStepInTime) {
  TwoRanks ranks("dense");
  ranks.collective(0).set_timeout(absl::Milliseconds(50));
  EXPECT_THAT(ranks.rank(0).Forward(FiveTokens(1)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("layer 0")));
}

TEST(RankModelTest, ABadPlanChangesNothing) {
  const GoldenModel golden = Load("dense");
  auto backend = MakeBackend();
  auto model =
      RankModel::Load(golden.config, *golden.checkpoint, Options(), backend.get(), nullptr);
  ASSERT_THAT(model, IsOk());
  auto before = (*model)->Forward(FiveTokens(1));
  ASSERT_THAT(before, IsOk());
  const std::vector<float> logits(before->f32(), before->f32() + before->cols);

  StepPlan bad = FiveTokens(1);
  bad.sequences[0].tokens[4] = golden.config.vocab_size;
  EXPECT_THAT((*model)->Forward(bad),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("token id 512")));
  auto after = (*model)->Forward(FiveTokens(1));
  ASSERT_THAT(after, IsOk());
  EXPECT_EQ(std::vector<float>(after->f32(), after->f32() + after->cols), logits);
}

TEST(RankModelTest, WithoutLogitsTheTensorHasNoRows) {
  for (const char* variant : {"dense", "moe", "ple", "ple4b"}) {
    const GoldenModel golden = Load(variant);
    auto backend = MakeBackend();
    auto model =
        RankModel::Load(golden.config, *golden.checkpoint, Options(), backend.get(), nullptr);
    ASSERT_THAT(model, IsOk());
    auto logits = (*model)->Forward(FiveTokens(0));
    ASSERT_THAT(logits, IsOk());
    EXPECT_EQ(logits->rows, 0) << variant;
    EXPECT_EQ(logits->cols, golden.config.vocab_size) << variant;
  }
}

TEST(RankModelTest, TimingsCoverTheStep) {
  const GoldenModel golden = Load("ple");
  auto backend = MakeBackend();
  auto model =
      RankModel::Load(golden.config, *golden.checkpoint, Options(), backend.get(), nullptr);
  ASSERT_THAT(model, IsOk());
  ASSERT_THAT((*model)->Forward(FiveTokens(1)), IsOk());
  const StepTimings& timings = (*model)->timings();
  EXPECT_GT(timings.embedding, absl::ZeroDuration());
  EXPECT_GT(timings.attention, absl::ZeroDuration());
  EXPECT_GT(timings.mlp, absl::ZeroDuration());
  EXPECT_GT(timings.head, absl::ZeroDuration());
  EXPECT_EQ(timings.collective, absl::ZeroDuration());
}

struct PlannedCase {
  std::string variant;
  int world_size;
  bool expert_parallel;
  ComputeMode mode;
};
class PlannedMemoryTest : public ::testing::TestWithParam<PlannedCase> {};

// A rank of a group loads without its peers, so a fake that is never called will do.
class AbsentCollective : public RecordingCollective {
 public:
  AbsentCollective(int rank, int world_size)
      : RecordingCollective(nullptr), rank_(rank), world_size_(world_size) {}
  int rank() const override { return rank_; }
  int world_size() const override { return world_size_; }

 private:
  const int rank_;
  const int world_size_;
};

TEST_P(PlannedMemoryTest, IsWhatLoadingTakes) {
  const PlannedCase& c = GetParam();
  const GoldenModel golden = Load(c.variant);
  for (int rank = 0; rank < c.world_size; ++rank) {
    RankOptions options = Options(rank, c.world_size);
    options.expert_parallel = c.expert_parallel;
    options.mode = c.mode;
    options.kv_dtype = DefaultKvDType(c.mode);
    auto backend = MakeBackend();
    AbsentCollective collective(rank, c.world_size);
    auto model =
        RankModel::Load(golden.config, *golden.checkpoint, options, backend.get(), &collective);
    ASSERT_THAT(model, IsOk());
    auto plan = PlanMemory(golden.config, options, DType::kBF16);
    ASSERT_THAT(plan, IsOk());
    EXPECT_EQ((*model)->weight_bytes(), plan->Weights());
    EXPECT_EQ((*model)->kv_bytes(), plan->Kv());
  }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, PlannedMemoryTest,
                         ::testing::ValuesIn(std::vector<PlannedCase>{
                             {"dense", 1, false, ComputeMode::kF32},
                             {"dense", 4, false, ComputeMode::kBF16},
                             {"moe", 2, false, ComputeMode::kF32},
                             {"moe", 4, true, ComputeMode::kBF16},
                             {"ple", 4, false, ComputeMode::kF32},
                             {"ple4b", 2, false, ComputeMode::kF32},
                         }),
                         [](const auto& info) {
                           return absl::StrCat(info.param.variant, "_", info.param.world_size,
                                               info.param.expert_parallel ? "_experts" : "");
                         });

struct RefusalCase {
  std::string name;
  std::function<void(RankOptions&)> change;
  std::string in_message;
};
class RankOptionsTest : public ::testing::TestWithParam<RefusalCase> {};

TEST_P(RankOptionsTest, OutOfRangeAreRefused) {
  const GoldenModel golden = Load("dense");
  auto backend = MakeBackend();
  RankOptions options = Options();
  GetParam().change(options);
  EXPECT_THAT(RankModel::Load(golden.config, *golden.checkpoint, options, backend.get(), nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().in_message)));
}

INSTANTIATE_TEST_SUITE_P(
    Options, RankOptionsTest,
    ::testing::ValuesIn(std::vector<RefusalCase>{
        {"group_without_collective", [](RankOptions& o) { o.world_size = 2; }, "rank 0 of 2"},
        {"rank_of_another", [](RankOptions& o) { o.rank = 1; }, "rank 1 of 1"},
        {"no_step_tokens", [](RankOptions& o) { o.max_step_tokens = 0; }, "max_step_tokens is 0"},
        {"no_logit_rows", [](RankOptions& o) { o.max_logit_rows = -1; }, "max_logit_rows is -1"},
        {"no_pages", [](RankOptions& o) { o.global_pages = 0; }, "0 pages"},
        {"kv_type", [](RankOptions& o) { o.kv_dtype = DType::kF16; }, "f16"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(RankModelTest, ACheckpointOfAnotherModelIsRefused) {
  const GoldenModel dense = Load("dense");
  const GoldenModel moe = Load("moe");
  auto backend = MakeBackend();
  EXPECT_THAT(RankModel::Load(moe.config, *dense.checkpoint, Options(), backend.get(), nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("layers.0")));
}

}  // namespace
}  // namespace facet::testing
