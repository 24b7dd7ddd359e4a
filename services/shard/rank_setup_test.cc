#include "services/shard/rank_setup.h"

#include <unistd.h>

#include <string>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/process.h"

namespace facet {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

ShardOptions Options() {
  ShardOptions options;
  options.model = testing::BinaryPath("tests/golden/dense");
  options.world_size = 2;
  options.leader = "leader:1";
  return options;
}

TEST(RankSetupTest, TakesTheModelsContextAndNoMorePagesThanItsRequestsNeed) {
  const auto setup = PrepareRank(Options());
  ASSERT_THAT(setup, IsOk());
  EXPECT_EQ(setup->model_name, "dense");
  EXPECT_EQ(setup->context_length, setup->config.max_position_embeddings);
  // 2 GiB would be far more: 64 requests of full length, in pages of 16 tokens.
  EXPECT_EQ(setup->rank.global_pages, 64 * setup->context_length / 16);
  EXPECT_GT(setup->rank.sliding_pages, 0);
  EXPECT_LE(setup->rank.sliding_pages, setup->rank.global_pages + 64);
  EXPECT_THAT(MakeSchedulerOptions(Options(), *setup).Validate(), IsOk());
}

TEST(RankSetupTest, LessMemoryMeansAShorterContextThatStillFits) {
  ShardOptions options = Options();
  options.max_step_tokens = 64;
  const auto whole = PrepareRank(options);
  ASSERT_THAT(whole, IsOk());
  options.kv_cache_bytes = whole->plan.global_kv_page * (whole->context_length / 16 / 2) +
                           whole->plan.sliding_kv_page * 8;
  const auto half = PrepareRank(options);
  ASSERT_THAT(half, IsOk());
  EXPECT_LT(half->context_length, whole->context_length);
  EXPECT_GT(half->context_length, 16);
  EXPECT_LE(half->plan.Kv(), options.kv_cache_bytes);
  // Said explicitly, it is the limit: one token more is refused.
  options.max_context = half->context_length;
  EXPECT_THAT(PrepareRank(options), IsOk());
  options.max_context = half->context_length + 1;
  EXPECT_THAT(PrepareRank(options),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("--max_context"), HasSubstr("--kv_cache_bytes"))));
}

TEST(RankSetupTest, ABudgetForNoRequestAtAllIsRefused) {
  ShardOptions options = Options();
  options.kv_cache_bytes = 100;
  EXPECT_THAT(PrepareRank(options),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("--kv_cache_bytes: 100 B")));
}

TEST(RankSetupTest, AContextBeyondTheModelIsRefusedWithBothNumbers) {
  ShardOptions options = Options();
  options.max_context = 1 << 20;
  EXPECT_THAT(PrepareRank(options),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("--max_context is 1048576"), HasSubstr("512"))));
}

TEST(RankSetupTest, AFolderWithoutAModelIsNamed) {
  ShardOptions options = Options();
  options.model = "/no/such/model";
  EXPECT_THAT(PrepareRank(options),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/no/such/model")));
}

TEST(RankSetupTest, AWorldSizeThatDoesNotDivideTheModelIsRefused) {
  ShardOptions options = Options();
  options.world_size = 3;
  EXPECT_THAT(PrepareRank(options), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("3")));
}

TEST(RankSetupTest, ConfigurationAndWeightsAreEnough) {
  const std::string folder = testing::MakeTestDir();
  for (const char* file : {"config.json", "model.safetensors"}) {
    const std::string from = Options().model + "/" + file;
    ASSERT_EQ(symlink(from.c_str(), (folder + "/" + file).c_str()), 0);
  }
  ShardOptions options = Options();
  options.model = folder;
  EXPECT_THAT(PrepareRank(options), IsOk());
}

TEST(RankSetupTest, AllRanksComeToTheSameSettings) {
  ShardOptions leader = Options(), other = Options();
  other.rank = 1;
  other.threads = 7;  // may differ
  const auto zero = PrepareRank(leader), one = PrepareRank(other);
  ASSERT_THAT(zero, IsOk());
  ASSERT_THAT(one, IsOk());
  const auto a = MakeBootstrapOptions(leader, *zero, "b"),
             b = MakeBootstrapOptions(other, *one, "b");
  EXPECT_EQ(a.identity.settings, b.identity.settings);
  EXPECT_EQ(a.identity.fingerprint, b.identity.fingerprint);
  EXPECT_FALSE(a.identity.fingerprint.empty());
  EXPECT_THAT(a.Validate(), IsOk());
  EXPECT_THAT(b.Validate(), IsOk());
}

TEST(RankSetupTest, SettingsThatMustAgreeShowInTheText) {
  const auto text = [](auto change) {
    ShardOptions options = Options();
    change(options);
    const auto setup = PrepareRank(options);
    EXPECT_THAT(setup, IsOk());
    return MakeBootstrapOptions(options, *setup, "b").identity.settings;
  };
  const std::string usual = text([](auto&) {});
  EXPECT_NE(usual, text([](auto& o) { o.dtype = "bf16"; }));
  EXPECT_NE(usual, text([](auto& o) { o.kv_dtype = "bf16"; }));
  EXPECT_NE(text([](auto& o) { o.kv_dtype = "int8"; }), text([](auto& o) { o.kv_dtype = "fp8"; }));
  EXPECT_NE(usual, text([](auto& o) { o.expert_parallel = true; }));
  EXPECT_NE(usual, text([](auto& o) { o.page_tokens = 8; }));
  EXPECT_NE(usual, text([](auto& o) { o.max_context = 100; }));
  EXPECT_NE(usual, text([](auto& o) { o.max_step_tokens = 100; }));
  EXPECT_NE(usual, text([](auto& o) { o.max_running = 3; }));
  EXPECT_NE(usual, text([](auto& o) { o.collective = "gloo"; }));
  // The leader's own affair.
  EXPECT_EQ(usual, text([](auto& o) { o.max_queue = 3; }));
  EXPECT_EQ(usual, text([](auto& o) { o.max_queue_tokens = 3; }));
}

TEST(RankSetupTest, MediaAreTakenAsFarAsTheCheckpointHasTheirPart) {
  ModelConfig config;
  config.hidden_size = 96;
  config.image_token_id = 7;
  config.video_token_id = 8;
  config.audio_token_id = 9;
  config.has_vision = true;
  ShardOptions options = Options();
  options.max_media_bytes = 1234;
  const MediaLimits causal = MakeMediaLimits(options, config);
  EXPECT_EQ(causal.hidden_size, 96);
  EXPECT_EQ(causal.image_token_id, 7);
  EXPECT_EQ(causal.video_token_id, 8);
  EXPECT_FALSE(causal.audio_token_id.has_value());
  EXPECT_FALSE(causal.has_blocks);
  EXPECT_EQ(causal.max_bytes, 1234);
  config.has_vision = false;
  config.has_audio = config.bidirectional_vision = true;
  const MediaLimits audio = MakeMediaLimits(options, config);
  EXPECT_FALSE(audio.image_token_id.has_value());
  EXPECT_EQ(audio.audio_token_id, 9);
  EXPECT_TRUE(audio.has_blocks);
  EXPECT_EQ(audio.max_block_tokens, 512 - options.max_running);
}

TEST(RankSetupTest, AStepHasRoomForTheLargestImageUnlessItIsSetOtherwise) {
  ModelConfig config;
  config.has_vision = true;
  ShardOptions options = Options();
  EXPECT_EQ(options.StepTokens(config), 512);
  config.bidirectional_vision = true;
  for (const int running : {1, 64, 512}) {
    options.max_running = running;
    EXPECT_EQ(MakeMediaLimits(options, config).max_block_tokens, 1120);
  }
  options.max_running = 10;
  options.max_step_tokens = 290;
  EXPECT_EQ(MakeMediaLimits(options, config).max_block_tokens, 280);
}

TEST(AvailableMemoryTest, IsAPlausibleNumber) {
  EXPECT_GT(AvailableMemoryBytes(), int64_t{1} << 20);
  EXPECT_LT(AvailableMemoryBytes(), int64_t{1} << 50);
}

}  // namespace
}  // namespace facet
