#include "services/gateway/openai/openai_error.h"

#include <string>
#include <vector>

#include "base/retry_after.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

struct ErrorCase {
  std::string name;
  absl::StatusCode code;
  int http_code;
  std::string type;
};
class OpenaiErrorTest : public testing::TestWithParam<ErrorCase> {};

TEST_P(OpenaiErrorTest, HasTheCodeAndTheShapeThatClientsExpect) {
  const HttpResponse response = ErrorResponse(absl::Status(GetParam().code, "why"));
  EXPECT_EQ(response.code, GetParam().http_code);
  EXPECT_EQ(response.content_type, "application/json");
  const Json error = Json::parse(response.body)["error"];
  EXPECT_EQ(error["message"], "why");
  EXPECT_EQ(error["type"], GetParam().type);
  EXPECT_TRUE(error["param"].is_null());
  EXPECT_TRUE(error.contains("code"));
}

INSTANTIATE_TEST_SUITE_P(
    Codes, OpenaiErrorTest,
    testing::ValuesIn(std::vector<ErrorCase>{
        {"bad_request", absl::StatusCode::kInvalidArgument, 400, "invalid_request_error"},
        {"no_tokenizer", absl::StatusCode::kFailedPrecondition, 400, "invalid_request_error"},
        {"out_of_range", absl::StatusCode::kOutOfRange, 400, "invalid_request_error"},
        {"no_key", absl::StatusCode::kUnauthenticated, 401, "authentication_error"},
        {"forbidden", absl::StatusCode::kPermissionDenied, 403, "permission_error"},
        {"no_model", absl::StatusCode::kNotFound, 404, "invalid_request_error"},
        {"too_late", absl::StatusCode::kDeadlineExceeded, 408, "timeout_error"},
        {"aborted", absl::StatusCode::kAborted, 409, "invalid_request_error"},
        {"queue_full", absl::StatusCode::kResourceExhausted, 429, "rate_limit_error"},
        {"client_left", absl::StatusCode::kCancelled, 499, "invalid_request_error"},
        {"internal", absl::StatusCode::kInternal, 500, "server_error"},
        {"unknown", absl::StatusCode::kUnknown, 500, "server_error"},
        {"data_loss", absl::StatusCode::kDataLoss, 500, "server_error"},
        {"unimplemented", absl::StatusCode::kUnimplemented, 501, "server_error"},
        {"draining", absl::StatusCode::kUnavailable, 503, "server_error"},
    }),
    [](const auto& info) { return info.param.name; });

std::string Header(const HttpResponse& response, const std::string& name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(OpenaiErrorHeadersTest, AFullQueueSaysWhenToComeAgainInWholeSecondsAndExactly) {
  const HttpResponse response =
      ErrorResponse(WithRetryAfter(absl::ResourceExhaustedError("full"), absl::Milliseconds(1200)));
  EXPECT_EQ(response.code, 429);
  EXPECT_EQ(Header(response, "retry-after"), "2");
  EXPECT_EQ(Header(response, "retry-after-ms"), "1200");
}

TEST(OpenaiErrorHeadersTest, ALostGroupIsWorthAnotherTryInASecond) {
  EXPECT_EQ(Header(ErrorResponse(absl::UnavailableError("lost")), "retry-after"), "1");
}

TEST(OpenaiErrorHeadersTest, AnErrorOfAFieldNamesItAsParam) {
  const Json body = ErrorBody(FieldError("messages[0].role", "is missing"));
  EXPECT_EQ(body["error"]["param"], "messages[0].role");
  EXPECT_EQ(body["error"]["message"], "messages[0].role: is missing");
}

TEST(OpenaiErrorHeadersTest, BytesThatAreNoTextStillMakeValidJson) {
  const std::string body = ErrorResponse(404, "there is no /\xff").body;
  EXPECT_TRUE(Json::accept(body)) << body;
}

TEST(OpenaiErrorHeadersTest, AMessageOverTheRoutersLimitIsNotWorthAnotherTry) {
  const absl::Status status = WithoutFalseRetry(
      absl::ResourceExhaustedError("Received message larger than max (17000000 vs. 16777216)"));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const absl::Status full = absl::ResourceExhaustedError("the queue is full");
  EXPECT_EQ(WithoutFalseRetry(full), full);
}

}  // namespace
}  // namespace facet
