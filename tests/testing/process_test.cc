#include "tests/testing/process.h"

#include <signal.h>

#include <fstream>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet::testing {
namespace {

using ::testing::HasSubstr;

ChildProcess::Options Shell(const std::string& script) {
  return {.argv = {"/bin/sh", "-c", script}, .environment = {"GREETING=hello"}};
}

TEST(ChildProcessTest, GivesTheExitStatusAndAllOutput) {
  auto child = ChildProcess::Start(Shell("echo $GREETING; echo trouble >&2; exit 7"));
  ASSERT_THAT(child, IsOk());
  auto status = (*child)->WaitForExit(absl::Seconds(10));
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(*status, 7);
  EXPECT_THAT((*child)->WaitForOutput("hello", absl::Seconds(10)), IsOk());
  EXPECT_THAT((*child)->WaitForOutput("trouble", absl::Seconds(10)), IsOk());
}

TEST(ChildProcessTest, ReportsTheSignalThatEndedIt) {
  auto child = ChildProcess::Start(Shell("echo up; exec sleep 60"));
  ASSERT_THAT(child, IsOk());
  ASSERT_THAT((*child)->WaitForOutput("up", absl::Seconds(10)), IsOk());
  EXPECT_FALSE((*child)->HasExited());
  (*child)->Signal(SIGTERM);
  auto status = (*child)->WaitForExit(absl::Seconds(10));
  ASSERT_THAT(status, IsOk());
  EXPECT_EQ(*status, 128 + SIGTERM);
}

TEST(ChildProcessTest, SaysWhatItPrintedWhenItIsLate) {
  auto child = ChildProcess::Start(Shell("echo waiting for better days; exec sleep 60"));
  ASSERT_THAT(child, IsOk());
  ASSERT_THAT((*child)->WaitForOutput("better", absl::Seconds(10)), IsOk());
  EXPECT_THAT((*child)->WaitForExit(absl::Milliseconds(20)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("better days")));
  EXPECT_THAT((*child)->WaitForOutput("worse", absl::Milliseconds(20)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("better days")));
}

TEST(ChildProcessTest, IsNotFoundWithoutAProgram) {
  EXPECT_THAT(ChildProcess::Start({.argv = {"/no/such/program"}}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/no/such/program")));
}

TEST(WaitForPortsTest, ReadsThePortFile) {
  const std::string path = MakeTestDir() + "/ports";
  auto child = ChildProcess::Start(Shell("echo '{\"port\": 12, \"metrics_port\": 34}' > " + path +
                                         ".x; mv " + path + ".x " + path + "; exec sleep 60"));
  ASSERT_THAT(child, IsOk());
  auto ports = WaitForPorts(path, absl::Seconds(10), **child);
  ASSERT_THAT(ports, IsOk());
  EXPECT_EQ(ports->grpc, 12);
  EXPECT_EQ(ports->metrics, 34);
}

TEST(WaitForPortsTest, GivesUpWhenTheProcessHasEnded) {
  auto child = ChildProcess::Start(Shell("echo no luck; exit 1"));
  ASSERT_THAT(child, IsOk());
  EXPECT_THAT(WaitForPorts(MakeTestDir() + "/ports", absl::Seconds(10), **child),
              StatusIs(absl::StatusCode::kAborted));
}

TEST(MetricValueTest, FindsOneSample) {
  const std::string page = "# HELP a b\na_total 3\na{x=\"1\"} 4.5\n";
  EXPECT_EQ(MetricValue(page, "a_total").value_or(-1), 3);
  EXPECT_EQ(MetricValue(page, "a{x=\"1\"}").value_or(-1), 4.5);
  EXPECT_THAT(MetricValue(page, "a"), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace facet::testing
