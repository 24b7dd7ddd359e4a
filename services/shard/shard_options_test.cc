#include "services/shard/shard_options.h"

#include <functional>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

ShardOptions Good() {
  ShardOptions options;
  options.model = "/models/x";
  options.rank = 1;
  options.world_size = 2;
  options.leader = "leader:50052";
  return options;
}

struct BadCase {
  std::string name;
  std::function<void(ShardOptions&)> change;
  std::string message;
};
class BadOptionsTest : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadOptionsTest, NamesTheFlagItsValueAndWhatIsAllowed) {
  ShardOptions options = Good();
  ASSERT_THAT(options.Validate(), IsOk());
  GetParam().change(options);
  EXPECT_THAT(options.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
}
INSTANTIATE_TEST_SUITE_P(
    All, BadOptionsTest,
    ::testing::ValuesIn(std::vector<BadCase>{
        {"model", [](auto& o) { o.model = ""; }, "--model is not set"},
        {"world_size", [](auto& o) { o.world_size = 0; }, "--world_size is 0; allowed: 1 to 1024"},
        {"rank", [](auto& o) { o.rank = 2; }, "--rank is 2; allowed: 0 to 1"},
        {"negative_rank", [](auto& o) { o.rank = -1; }, "--rank is -1"},
        {"leader", [](auto& o) { o.leader = ""; }, "--leader is not set: rank 1"},
        {"dtype", [](auto& o) { o.dtype = "int8"; }, "--dtype is 'int8'; allowed: f32, bf16"},
        {"kv_dtype", [](auto& o) { o.kv_dtype = "f16"; },
         "--kv_dtype is 'f16'; allowed: auto, f32, bf16, int8, fp8"},
        {"collective", [](auto& o) { o.collective = "mpi"; }, "--collective is 'mpi'"},
        {"threads", [](auto& o) { o.threads = -1; }, "--threads is -1"},
        {"page_tokens", [](auto& o) { o.page_tokens = 0; }, "--page_tokens is 0"},
        {"step", [](auto& o) { o.max_step_tokens = -1; }, "--max_step_tokens is -1"},
        {"running", [](auto& o) { o.max_running = 513; },
         "--max_running is 513; allowed: 1 to 512"},
        {"queue", [](auto& o) { o.max_queue = 0; }, "--max_queue is 0"},
        {"queue_tokens", [](auto& o) { o.max_queue_tokens = 0; }, "--max_queue_tokens is 0"},
        {"request", [](auto& o) { o.max_request_bytes = 1000; },
         "--max_request_bytes is 1000; allowed: 65536 to 2147483647"},
        {"media", [](auto& o) { o.max_media_bytes = -1; }, "--max_media_bytes is -1"},
        {"pause", [](auto& o) { o.max_pause = absl::ZeroDuration(); }, "--max_pause is 0"},
        {"context", [](auto& o) { o.max_context = -1; }, "--max_context is -1"},
        {"kv", [](auto& o) { o.kv_cache_bytes = 0; }, "--kv_cache_bytes is 0"},
        {"memory", [](auto& o) { o.memory_limit = -1; }, "--memory_limit is -1"},
        {"join", [](auto& o) { o.join_timeout = absl::ZeroDuration(); }, "--join_timeout is 0"},
        {"load", [](auto& o) { o.load_timeout = absl::ZeroDuration(); }, "--load_timeout is 0"},
        {"exchange", [](auto& o) { o.collective_timeout = absl::Milliseconds(1); },
         "--collective_timeout is 1ms; allowed: 100ms to 1h"},
        {"step_time", [](auto& o) { o.step_timeout = absl::ZeroDuration(); },
         "--step_timeout is 0"},
        {"grace", [](auto& o) { o.grace_period = absl::Seconds(-1); }, "--grace_period is -1s"},
        {"delay", [](auto& o) { o.drain_delay = absl::Hours(2); }, "--drain_delay is 2h"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(ShardOptionsTest, AsManyMayRunAsAStepHasTokens) {
  ShardOptions options = Good();
  options.max_running = options.max_step_tokens = 2000;
  EXPECT_THAT(options.Validate(), IsOk());
  options.max_running = 2001;
  EXPECT_FALSE(options.Validate().ok());
}

TEST(ShardOptionsTest, RankZeroNeedsNoLeader) {
  ShardOptions options = Good();
  options.rank = 0;
  options.leader = "";
  EXPECT_THAT(options.Validate(), IsOk());
}

TEST(ShardOptionsTest, TheKvTypeFollowsTheModeUnlessItIsSet) {
  ShardOptions options = Good();
  EXPECT_EQ(options.kv_type(), DType::kF32);
  options.dtype = "bf16";
  EXPECT_EQ(options.kv_type(), DType::kBF16);
  for (const DType type : {DType::kF32, DType::kBF16, DType::kInt8, DType::kF8E4M3}) {
    options.kv_dtype = Name(type);
    EXPECT_THAT(options.Validate(), IsOk());
    EXPECT_EQ(options.kv_type(), type);
  }
}

}  // namespace
}  // namespace facet
