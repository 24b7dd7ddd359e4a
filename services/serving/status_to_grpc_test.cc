#include "services/serving/status_to_grpc.h"

#include "base/retry_after.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

TEST(StatusToGrpcTest, EveryCodeKeepsItsNumberAndMessageBothWays) {
  for (int code = 0; code <= 16; ++code) {
    const std::string message = code == 0 ? "" : "why";
    const absl::Status status(static_cast<absl::StatusCode>(code), message);
    const grpc::Status there = ToGrpcStatus(status);
    EXPECT_EQ(there.error_code(), code);
    EXPECT_EQ(there.error_message(), message);
    EXPECT_EQ(FromGrpcStatus(there), status);
  }
}

TEST(RetryAfterTest, TravelsInsideTheStatus) {
  const absl::Status plain = absl::ResourceExhaustedError("queue is full");
  EXPECT_FALSE(RetryAfter(plain).has_value());
  EXPECT_EQ(RetryAfter(WithRetryAfter(plain, absl::Milliseconds(250))), absl::Milliseconds(250));
  EXPECT_EQ(RetryAfter(WithRetryAfter(plain, absl::Microseconds(1))), absl::Milliseconds(1));
  EXPECT_EQ(RetryAfter(WithRetryAfter(plain, absl::Seconds(-3))), absl::Milliseconds(1));
  EXPECT_FALSE(RetryAfter(WithRetryAfter(absl::OkStatus(), absl::Seconds(1))).has_value());
}

}  // namespace
}  // namespace facet
