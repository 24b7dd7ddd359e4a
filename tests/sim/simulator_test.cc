#include "tests/sim/simulator.h"

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/sim/trace.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::HasSubstr;

SimOptions RoomyOptions() {
  SimOptions options;
  options.scheduler.max_queue = 10000;
  options.scheduler.max_context = 8192;
  options.scheduler.global_pages = 8192;
  options.scheduler.sliding_pages = 8192;
  options.scheduler.sliding_window = 512;
  return options;
}

SimReport Replay(const SimOptions& options, const std::vector<TraceRequest>& trace) {
  const absl::StatusOr<SimReport> report = Simulate(options, trace);
  EXPECT_THAT(report, IsOk());
  return *report;
}

TEST(Trace, ReadsWhatItWrites) {
  const std::vector<TraceRequest> trace = MakeTrace(TraceShape{}, 3);
  const auto read = ParseTrace(FormatTrace(trace));
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(FormatTrace(*read), FormatTrace(trace));
  EXPECT_EQ(read->size(), 1000);
}

TEST(Trace, IsTheSameForTheSameSeed) {
  EXPECT_EQ(FormatTrace(MakeTrace(TraceShape{}, 3)), FormatTrace(MakeTrace(TraceShape{}, 3)));
  EXPECT_NE(FormatTrace(MakeTrace(TraceShape{}, 3)), FormatTrace(MakeTrace(TraceShape{}, 4)));
}

struct BadTraceCase {
  std::string name;
  std::string csv;
  std::string message;
};
class BadTraceTest : public ::testing::TestWithParam<BadTraceCase> {};

TEST_P(BadTraceTest, IsRefusedWithItsLine) {
  EXPECT_THAT(ParseTrace(GetParam().csv),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
}
INSTANTIATE_TEST_SUITE_P(Traces, BadTraceTest,
                         ::testing::ValuesIn(std::vector<BadTraceCase>{
                             {"fields", "0,1,1\n1,2\n", "line 2 has 2 fields"},
                             {"number", "0,one,1\n", "line 1 has a bad number"},
                             {"no_prompt", "0,0,1\n", "line 1 has a number out of range"},
                             {"not_a_time", "nan,1,1\n", "line 1 has a number out of range"},
                             {"prefix", "0,5,1,0,1,6\n", "line 1 has a number out of range"},
                             {"order", "2,1,1\n1,1,1\n", "line 2 comes before"},
                         }),
                         [](const auto& info) { return info.param.name; });

TEST(Percentiles, AreByTheNearestRank) {
  std::vector<double> values;
  for (int i = 100; i >= 1; --i) values.push_back(i);
  const Percentiles percentiles = PercentilesOf(values);
  EXPECT_EQ(percentiles.p50, 50);
  EXPECT_EQ(percentiles.p90, 90);
  EXPECT_EQ(percentiles.p99, 99);
  EXPECT_EQ(PercentilesOf({7}).p50, 7);
  EXPECT_EQ(PercentilesOf({}).p99, 0);
}

// Small enough to work out: 100 prompt tokens in one step, then a token a step.
TEST(Simulator, TimesOneRequestAsTheModelSays) {
  SimOptions options = RoomyOptions();
  options.cost = {0.010, 0.001, 0.002, 0};
  const SimReport report = Replay(options, {{5.0, 100, 3}});
  EXPECT_EQ(report.finished, 1);
  EXPECT_EQ(report.steps, 3);
  EXPECT_EQ(report.output_tokens, 3);
  EXPECT_NEAR(report.first_token_s.p50, 0.110, 1e-9);
  EXPECT_NEAR(report.inter_token_s.p99, 0.012, 1e-9);
  EXPECT_NEAR(report.queue_s.p50, 0, 1e-9);
  EXPECT_NEAR(report.seconds, 5.134, 1e-9);
}

std::vector<TraceRequest> SmallTrace() {
  std::ifstream file("tests/sim/traces/small.csv");
  std::ostringstream csv;
  csv << file.rdbuf();
  const auto trace = ParseTrace(csv.str());
  EXPECT_THAT(trace, IsOk());
  EXPECT_EQ(trace->size(), 200);
  return *trace;
}

TEST(Simulator, ReplaysTheSmallTrace) {
  const std::vector<TraceRequest> trace = SmallTrace();
  int64_t output_tokens = 0;
  for (const TraceRequest& request : trace) output_tokens += request.output_tokens;
  const SimReport report = Replay(RoomyOptions(), trace);
  EXPECT_EQ(report.finished, 200);
  EXPECT_EQ(report.output_tokens, output_tokens);
  EXPECT_EQ(report.scheduler.preemptions, 0);
  EXPECT_GE(report.seconds, trace.back().arrival_s);
  // A step takes at least its fixed 10 ms, and at most that and 512 prompt tokens or 64 decodes.
  EXPECT_GE(report.inter_token_s.p50, 0.010);
  EXPECT_LE(report.inter_token_s.p99, 0.050);
  EXPECT_LE(report.first_token_s.p50, report.first_token_s.p99);
  EXPECT_LE(report.queue_s.p99, report.first_token_s.p99);
  EXPECT_GE(report.scheduler.prefix_hit_tokens, report.scheduler.prefix_query_tokens / 10);
}

TEST(Simulator, FindsTheFirstTokenLaterWithoutThePrefixCache) {
  const std::vector<TraceRequest> trace = SmallTrace();
  SimOptions options = RoomyOptions();
  options.cost.per_prefill_token_s = 0.0004;  // prompts are what takes the time
  const SimReport with = Replay(options, trace);
  options.scheduler.enable_prefix_cache = false;
  const SimReport without = Replay(options, trace);
  EXPECT_EQ(without.scheduler.prefix_hit_tokens, 0);
  EXPECT_EQ(without.output_tokens, with.output_tokens);
  EXPECT_LT(with.first_token_s.p50, without.first_token_s.p50);
}

TEST(Simulator, EvictsFromASmallPoolAndLosesNothing) {
  const std::vector<TraceRequest> trace = SmallTrace();
  SimOptions options = RoomyOptions();
  options.scheduler.global_pages = options.scheduler.sliding_pages = 520;
  const SimReport report = Replay(options, trace);
  EXPECT_EQ(report.finished, 200);
  EXPECT_GE(report.scheduler.evictions, 100);
  EXPECT_GE(report.queue_s.p99, Replay(RoomyOptions(), trace).queue_s.p99);
}

TEST(Simulator, PreemptsWhatOutgrowsThePoolAndLosesNothing) {
  SimOptions options = RoomyOptions();
  options.scheduler.global_pages = options.scheduler.sliding_pages = 520;  // 8,320 positions
  const SimReport report = Replay(options, std::vector<TraceRequest>(60, {0, 20, 200}));
  EXPECT_EQ(report.finished, 60);
  EXPECT_GT(report.scheduler.preemptions, 0);
}

TEST(Simulator, CountsWhatIsRefused) {
  SimOptions options = RoomyOptions();
  options.scheduler.max_queue = 1;
  const SimReport report = Replay(options, {{0, 10, 1}, {0, 10, 1}, {0, 9000, 1}});
  EXPECT_EQ(report.finished, 1);
  EXPECT_EQ(report.refused, 1);
  EXPECT_EQ(report.never_fit, 1);
}

TEST(Simulator, ReportsInTextAndJson) {
  const SimReport report = Replay(RoomyOptions(), {{0, 100, 3}});
  EXPECT_THAT(report.ToText(), HasSubstr("requests       1 finished"));
  EXPECT_THAT(report.ToJson(), HasSubstr("\"output_tokens\": 3,"));
}

TEST(Simulator, RefusesBadOptions) {
  SimOptions options = RoomyOptions();
  options.scheduler.max_step_tokens = 0;
  EXPECT_THAT(Simulate(options, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("max_step_tokens")));
}

}  // namespace
}  // namespace facet
