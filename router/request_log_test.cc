#include "router/request_log.h"

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace facet {
namespace {

RequestRecord Served() {
  RequestRecord record;
  record.method = "Generate";
  record.context.request_id = "r1";
  record.context.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  record.model = "m";
  record.group = "10.0.0.1:7000";
  record.finish_reason = "LENGTH";
  record.completions = 2;
  record.prompt_tokens = 7;
  record.cached_tokens = 3;
  record.completion_tokens = 5;
  record.attempts = 1;
  record.total = absl::Milliseconds(1500);
  record.time_to_first_token = absl::Milliseconds(250);
  record.queue = absl::Milliseconds(50);
  return record;
}

TEST(RequestLogTest, AServedRequestIsOneLineOfJson) {
  const std::string line = FormatRequestRecord(Served(), absl::FromUnixMillis(1767225600123));
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const nlohmann::json json = nlohmann::json::parse(line);
  const nlohmann::json want = {{"time", "2026-01-01T00:00:00.123Z"},
                               {"method", "Generate"},
                               {"request_id", "r1"},
                               {"trace_id", "0af7651916cd43dd8448eb211c80319c"},
                               {"code", "OK"},
                               {"model", "m"},
                               {"group", "10.0.0.1:7000"},
                               {"finish_reason", "LENGTH"},
                               {"completions", 2},
                               {"prompt_tokens", 7},
                               {"cached_tokens", 3},
                               {"completion_tokens", 5},
                               {"attempts", 1},
                               {"total_seconds", 1.5},
                               {"time_to_first_token_seconds", 0.25},
                               {"queue_seconds", 0.05}};
  EXPECT_EQ(json, want);
}

TEST(RequestLogTest, AFailedRequestSaysWhyAndStaysOneLine) {
  RequestRecord record;
  record.method = "Generate";
  record.context.request_id = "r2";
  record.status = absl::InvalidArgumentError("bad \"field\"\nwith \xff bytes");
  const std::string line = FormatRequestRecord(record, absl::UnixEpoch());
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const nlohmann::json json = nlohmann::json::parse(line);
  EXPECT_EQ(json["code"], "INVALID_ARGUMENT");
  EXPECT_EQ(json["message"], "bad \"field\"\nwith \xEF\xBF\xBD bytes");
  EXPECT_FALSE(json.contains("group"));
  EXPECT_FALSE(json.contains("time_to_first_token_seconds"));
}

}  // namespace
}  // namespace facet
