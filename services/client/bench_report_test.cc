#include "services/client/bench_report.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace facet {
namespace {

using ::testing::HasSubstr;

TEST(QuantileTest, InterpolatesBetweenNeighbours) {
  const std::vector<double> values = {1, 2, 3, 4, 5};
  EXPECT_EQ(Quantile(values, 0), 1);
  EXPECT_EQ(Quantile(values, 0.5), 3);
  EXPECT_EQ(Quantile(values, 1), 5);
  EXPECT_DOUBLE_EQ(Quantile(values, 0.9), 4.6);
  EXPECT_EQ(Quantile({}, 0.5), 0);
  EXPECT_EQ(Quantile({7}, 0.99), 7);
}

BenchReport TwoRequests() {
  BenchReport report;
  report.concurrency = 2;
  report.wall_seconds = 2;
  report.samples = {
      {0.1, {0.01, 0.03}, 0.02, 0.5, 10, 3},
      {0.3, {0.02}, 0.02, 0.7, 10, 2},
  };
  report.errors = {{"RESOURCE_EXHAUSTED", 3}, {"UNAVAILABLE", 1}};
  return report;
}

TEST(BenchReportTest, JsonHoldsRatesAndPercentiles) {
  const nlohmann::ordered_json json = ToJson(TwoRequests());
  EXPECT_EQ(json["requests"], 2);
  EXPECT_EQ(json["concurrency"], 2);
  EXPECT_EQ(json["errors"], 4);
  EXPECT_EQ(json["error_codes"]["RESOURCE_EXHAUSTED"], 3);
  EXPECT_EQ(json["prompt_tokens"], 20);
  EXPECT_EQ(json["output_tokens"], 5);
  EXPECT_EQ(json["requests_per_second"], 1.0);
  EXPECT_EQ(json["output_tokens_per_second"], 2.5);
  EXPECT_EQ(json["total_tokens_per_second"], 12.5);
  EXPECT_NEAR(json["time_to_first_token_seconds"]["p50"].get<double>(), 0.2, 1e-12);
  EXPECT_NEAR(json["time_to_first_token_seconds"]["max"].get<double>(), 0.3, 1e-12);
  EXPECT_NEAR(json["inter_token_latency_seconds"]["mean"].get<double>(), 0.02, 1e-12);
  EXPECT_NEAR(json["request_seconds"]["p50"].get<double>(), 0.6, 1e-12);
}

TEST(BenchReportTest, TheTableNamesWhatItShows) {
  const std::string table = ToTable(TwoRequests());
  for (const char* words : {"2 requests at concurrency 2", "4 errors", "2.5 output tokens/s",
                            "time to first token", "p99", "error UNAVAILABLE: 1"}) {
    EXPECT_THAT(table, HasSubstr(words));
  }
}

TEST(BenchReportTest, ARunWithoutAnswersIsAllZeros) {
  BenchReport report;
  report.concurrency = 1;
  const nlohmann::ordered_json json = ToJson(report);
  EXPECT_EQ(json["requests"], 0);
  EXPECT_EQ(json["time_to_first_token_seconds"]["p99"], 0);
}

}  // namespace
}  // namespace facet
