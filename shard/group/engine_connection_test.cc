#include "shard/group/engine_connection.h"

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

EngineOutput Tokens(uint64_t id, int count) {
  EngineOutput output;
  output.id = id;
  for (int i = 0; i < count; ++i)
    output.tokens.push_back({.token = i, .logprob = 0, .top_logprobs = {}});
  return output;
}

EngineOutput Last(uint64_t id) {
  EngineOutput output;
  output.id = id;
  output.finish = EngineFinish{FinishReason::kStop, absl::OkStatus(), absl::ZeroDuration()};
  return output;
}

TEST(EngineConnectionTest, HandsOutputsOverInOrderAndOnce) {
  int news = 0;
  EngineConnection connection(100, [&] { ++news; });
  ASSERT_TRUE(connection.Open(7));
  EXPECT_TRUE(connection.Push({Tokens(7, 1)}));
  EXPECT_TRUE(connection.Push({Tokens(7, 2), Last(7)}));
  const auto taken = connection.Take();
  ASSERT_EQ(taken.size(), 3u);
  EXPECT_EQ(taken[0].tokens.size(), 1u);
  EXPECT_EQ(taken[1].tokens.size(), 2u);
  EXPECT_TRUE(taken[2].finish.has_value());
  EXPECT_EQ(news, 2);
  EXPECT_TRUE(connection.Take().empty());
}

TEST(EngineConnectionTest, DropsWhatBelongsToNoOpenRequest) {
  int news = 0;
  EngineConnection connection(100, [&] { ++news; });
  ASSERT_TRUE(connection.Open(7));
  EXPECT_FALSE(connection.Open(7));
  connection.Push({Tokens(8, 1)});
  EXPECT_EQ(news, 0);
  connection.Push({Last(7), Tokens(7, 1), Last(7)});
  EXPECT_EQ(connection.Take().size(), 1u);
  EXPECT_EQ(connection.open_requests(), 0);
  EXPECT_TRUE(connection.Open(7));  // the id is free again
}

TEST(EngineConnectionTest, SaysWhenTheBoundIsPassedAndRecovers) {
  EngineConnection connection(10, [] {});
  ASSERT_TRUE(connection.Open(1));
  EXPECT_TRUE(connection.Push({Tokens(1, 9)}));  // 1 + 9
  EXPECT_FALSE(connection.Push({Tokens(1, 0)}));
  EXPECT_THAT(connection.status(), IsOk());
  connection.Take();
  EXPECT_TRUE(connection.Push({Tokens(1, 1)}));
}

TEST(EngineConnectionTest, TopLogprobsCountAQuarter) {
  EngineConnection connection(10, [] {});
  ASSERT_TRUE(connection.Open(1));
  EngineOutput output = Tokens(1, 1);
  output.tokens[0].top_logprobs.resize(32);  // 1 + 1 + 8
  EXPECT_TRUE(connection.Push({output}));
  EXPECT_FALSE(connection.Push({Tokens(1, 0)}));
}

TEST(EngineConnectionTest, IsClosedAtTwiceTheBound) {
  int news = 0;
  EngineConnection connection(10, [&] { ++news; });
  ASSERT_TRUE(connection.Open(1));
  EXPECT_FALSE(connection.Push({Tokens(1, 20)}));
  EXPECT_THAT(connection.status(),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("limit of 10")));
  EXPECT_EQ(news, 1);
  EXPECT_FALSE(connection.Open(2));
  EXPECT_EQ(connection.Take().size(), 1u);  // what is there can still be read
}

TEST(EngineConnectionTest, TheFirstReasonToCloseCounts) {
  EngineConnection connection(10, [] {});
  connection.Close(absl::UnavailableError("first"));
  connection.Close(absl::InternalError("second"));
  EXPECT_THAT(connection.status(), StatusIs(absl::StatusCode::kUnavailable, "first"));
}

TEST(EngineConnectionTest, IsSilentOnceDetached) {
  int news = 0;
  EngineConnection connection(10, [&] { ++news; });
  ASSERT_TRUE(connection.Open(1));
  connection.Push({Tokens(1, 1)});
  connection.Detach();
  connection.Push({Tokens(1, 1)});
  EXPECT_EQ(news, 1);
  EXPECT_TRUE(connection.Take().empty());
}

}  // namespace
}  // namespace facet
