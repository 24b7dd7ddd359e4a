#include "router/metrics.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/text_serializer.h"

namespace facet {
namespace {

using ::testing::HasSubstr;

class RouterMetricsTest : public ::testing::Test {
 protected:
  std::string Page() { return prometheus::TextSerializer().Serialize(registry_.Collect()); }

  prometheus::Registry registry_;
  RouterMetrics metrics_{registry_};
};

TEST_F(RouterMetricsTest, EveryMetricIsThereFromTheStart) {
  const std::string page = Page();
  for (const char* name :
       {"facet_router_requests_in_flight", "facet_router_requests_waiting_for_group",
        "facet_router_groups_ready", "facet_router_groups", "facet_router_retries_total",
        "facet_router_reader_pauses_total", "facet_router_prompt_tokens_total",
        "facet_router_generation_tokens_total", "facet_router_tokenize_seconds_count",
        "facet_time_to_first_token_seconds_count", "facet_inter_token_latency_seconds_count",
        "facet_time_per_output_token_seconds_count", "facet_request_duration_seconds_count"}) {
    EXPECT_THAT(page, HasSubstr(std::string("\n") + name + " 0\n"));
  }
}

TEST_F(RouterMetricsTest, RequestsAreCountedByMethodAndCode) {
  metrics_.CountRequest("Generate", absl::StatusCode::kOk);
  metrics_.CountRequest("Generate", absl::StatusCode::kInvalidArgument);
  metrics_.CountRequest("Generate", absl::StatusCode::kInvalidArgument);
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("facet_router_requests_total{code=\"OK\",method=\"Generate\"} 1"));
  EXPECT_THAT(
      page,
      HasSubstr("facet_router_requests_total{code=\"INVALID_ARGUMENT\",method=\"Generate\"} 2"));
}

TEST_F(RouterMetricsTest, BucketsTellFastModelsApart) {
  metrics_.inter_token_latency_seconds.Observe(0.0002);
  metrics_.inter_token_latency_seconds.Observe(0.0007);
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("facet_inter_token_latency_seconds_bucket{le=\"0.00025\"} 1"));
  EXPECT_THAT(page, HasSubstr("facet_inter_token_latency_seconds_bucket{le=\"0.001\"} 2"));
}

}  // namespace
}  // namespace facet
