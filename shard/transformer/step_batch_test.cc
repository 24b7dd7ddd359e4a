#include "shard/transformer/step_batch.h"

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
  FlattenPlan(plan, StepRows::kAll, batch);
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
  FlattenPlan(plan, StepRows::kAll, batch);  // its memory is reused
  FlattenPlan(plan, StepRows::kWithLogits, batch);
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
  FlattenPlan(plan, StepRows::kWithLogits, batch);
  EXPECT_EQ(batch.num_rows, 0);
  EXPECT_THAT(batch.global, IsEmpty());
}

}  // namespace
}  // namespace facet
