#include "shard/transformer/step_batch.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A prompt's last chunk, a middle chunk without logits, and a decoded token.
StepPlan Plan() {
  StepPlan plan;
  plan.sequences.resize(3);
  plan.sequences[0].start_position = 4;
  plan.sequences[0].tokens = {10, 11, 12};
  plan.sequences[0].logits_from = 1;
  plan.sequences[0].global_pages = {5, 6};
  plan.sequences[0].sliding_pages = {-1, 9};
  plan.sequences[1].tokens = {20, 21};
  plan.sequences[1].logits_from = 2;
  plan.sequences[2].start_position = 30;
  plan.sequences[2].tokens = {31};
  plan.sequences[2].global_pages = {7};
  return plan;
}

TEST(StepBatchTest, AllRowsFollowEachOther) {
  const StepPlan plan = Plan();
  StepBatch batch;
  FlattenPlan(plan, StepRows::kAll, /*with_blocks=*/true, batch);
  EXPECT_EQ(batch.num_rows, 6);
  EXPECT_EQ(CountRows(plan, StepRows::kAll), 6);
  EXPECT_THAT(batch.token_ids, ElementsAre(10, 11, 12, 20, 21, 31));
  EXPECT_THAT(batch.positions, ElementsAre(4, 5, 6, 0, 1, 30));
  ASSERT_EQ(batch.global.size(), 3u);
  EXPECT_EQ(batch.global[1].first_row, 3);
  EXPECT_EQ(batch.global[1].num_rows, 2);
  EXPECT_EQ(batch.global[1].start_position, 0);
  EXPECT_EQ(batch.global[2].first_row, 5);
  EXPECT_THAT(batch.Sequences(AttentionKind::kGlobal)[0].pages, ElementsAre(5, 6));
  EXPECT_THAT(batch.Sequences(AttentionKind::kSliding)[0].pages, ElementsAre(-1, 9));
}

TEST(StepBatchTest, RowsWithLogitsKeepTheirPositionsAndPages) {
  const StepPlan plan = Plan();
  StepBatch batch;
  FlattenPlan(plan, StepRows::kAll, /*with_blocks=*/true, batch);  // its memory is reused
  FlattenPlan(plan, StepRows::kWithLogits, /*with_blocks=*/true, batch);
  EXPECT_EQ(batch.num_rows, 3);
  EXPECT_EQ(CountRows(plan, StepRows::kWithLogits), 3);
  EXPECT_THAT(batch.token_ids, ElementsAre(11, 12, 31));
  EXPECT_THAT(batch.positions, ElementsAre(5, 6, 30));
  ASSERT_EQ(batch.sliding.size(), 2u);
  EXPECT_EQ(batch.sliding[0].first_row, 0);
  EXPECT_EQ(batch.sliding[0].start_position, 5);
  EXPECT_EQ(batch.sliding[1].first_row, 2);
  EXPECT_EQ(batch.sliding[1].start_position, 30);
  EXPECT_THAT(batch.global[1].pages, ElementsAre(7));
}

TEST(StepBatchTest, NoRowsWithLogitsAreNoRows) {
  StepPlan plan = Plan();
  plan.sequences = {plan.sequences[1]};
  StepBatch batch;
  FlattenPlan(plan, StepRows::kWithLogits, /*with_blocks=*/true, batch);
  EXPECT_EQ(batch.num_rows, 0);
  EXPECT_THAT(batch.global, IsEmpty());
}

// Positions 4 to 13: text, a picture of three whose soft tokens come in two runs, text, a clip of
// two, a frame of two, text.
StepPlan MediaPlan() {
  StepPlan plan;
  plan.sequences.resize(2);
  plan.sequences[0].tokens = {1};
  plan.sequences[0].logits_from = 1;
  plan.sequences[1].start_position = 4;
  plan.sequences[1].tokens.assign(10, 7);
  plan.sequences[1].logits_from = 2;
  const auto run = [](int position, int count, MediaKind kind) {
    return OwnSoftTokens(position, count, kind, DType::kF32,
                         std::string(8 * count, '0' + position));
  };
  plan.sequences[1].soft_tokens = {run(5, 1, MediaKind::kImage), run(6, 2, MediaKind::kImage),
                                   run(9, 2, MediaKind::kAudio), run(11, 2, MediaKind::kVideo)};
  return plan;
}

TEST(StepBatchTest, SoftTokensComeWithTheirRows) {
  const StepPlan plan = MediaPlan();
  StepBatch batch;
  FlattenPlan(plan, StepRows::kAll, /*with_blocks=*/true, batch);
  ASSERT_EQ(batch.soft.size(), 4u);
  EXPECT_EQ(batch.soft[0].row, 2);
  EXPECT_EQ(batch.soft[1].row, 3);
  EXPECT_EQ(batch.soft[1].tokens.count, 2);
  EXPECT_EQ(batch.soft[3].row, 8);
  EXPECT_EQ(batch.soft[3].tokens.rows, plan.sequences[1].soft_tokens[3].rows);
}

TEST(StepBatchTest, RowsOfABlockSeeUpToItsEndInSlidingLayersOnly) {
  const StepPlan plan = MediaPlan();
  StepBatch batch;
  FlattenPlan(plan, StepRows::kAll, /*with_blocks=*/true, batch);
  EXPECT_THAT(batch.sliding[0].visible_end, ElementsAre(1));
  EXPECT_THAT(batch.sliding[1].visible_end, ElementsAre(5, 8, 8, 8, 9, 10, 11, 13, 13, 14));
  EXPECT_THAT(batch.global[1].visible_end, IsEmpty());
}

TEST(StepBatchTest, RowsWithLogitsSeeTheirWholeBlock) {
  const StepPlan plan = MediaPlan();
  StepBatch batch;
  FlattenPlan(plan, StepRows::kWithLogits, /*with_blocks=*/true, batch);
  ASSERT_EQ(batch.sliding.size(), 1u);
  EXPECT_THAT(batch.sliding[0].visible_end, ElementsAre(8, 8, 9, 10, 11, 13, 13, 14));
  ASSERT_EQ(batch.soft.size(), 3u);
  EXPECT_EQ(batch.soft[0].row, 0);
  EXPECT_EQ(batch.soft[0].tokens.position, 6);
}

TEST(StepBatchTest, AdjoiningRunsAreOneBlockWithItsEndBehindTheLast) {
  StepPlan plan = MediaPlan();
  plan.sequences[1].soft_tokens = {
      OwnSoftTokens(6, 1, MediaKind::kImage, DType::kF32, "12345678"),
      OwnSoftTokens(7, 2, MediaKind::kVideo, DType::kF32, "1234567812345678"),
      OwnSoftTokens(9, 1, MediaKind::kAudio, DType::kF32, "12345678")};
  StepBatch batch;
  FlattenPlan(plan, StepRows::kAll, /*with_blocks=*/true, batch);
  EXPECT_THAT(batch.sliding[1].visible_end, ElementsAre(5, 6, 9, 9, 9, 10, 11, 12, 13, 14));
}

TEST(StepBatchTest, WithoutBlocksEveryRowSeesUpToItself) {
  StepPlan plan = MediaPlan();
  StepBatch batch;
  FlattenPlan(plan, StepRows::kAll, /*with_blocks=*/false, batch);
  EXPECT_THAT(batch.sliding[1].visible_end, IsEmpty());
  EXPECT_EQ(batch.soft.size(), 4u);
  plan.sequences[1].soft_tokens.resize(0);
  FlattenPlan(plan, StepRows::kAll, /*with_blocks=*/true, batch);
  EXPECT_THAT(batch.sliding[1].visible_end, IsEmpty());
}

}  // namespace
}  // namespace facet
