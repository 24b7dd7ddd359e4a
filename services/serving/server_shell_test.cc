#include "services/serving/server_shell.h"

#include <signal.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "prometheus/counter.h"
#include "proto/facet/internal/shard_group.grpc.pb.h"
#include "tests/testing/health_client.h"
#include "tests/testing/process.h"

namespace facet {
namespace {

using ::testing::AnyOf;
using testing::ChildProcess;
using ::testing::HasSubstr;
using testing::HealthClient;
using testing::IsOk;
using ::testing::Not;
using testing::StatusIs;

constexpr char kService[] = "facet.internal.ShardGroup";

class EmptyService final : public internal::ShardGroup::Service {};

std::string AddressOf(const ServerShell& shell) {
  return "127.0.0.1:" + std::to_string(shell.grpc_port());
}

std::unique_ptr<ServerShell> CreateShell(const std::string& metrics_listen = "") {
  ServerShellOptions options;
  options.metrics_listen = metrics_listen;
  options.services = {kService};
  options.failure_linger = absl::Milliseconds(50);
  auto shell = ServerShell::Create(options);
  EXPECT_THAT(shell, IsOk());
  return shell.ok() ? *std::move(shell) : nullptr;
}

TEST(ServerShellTest, HealthFollowsTheLifeOfTheProcess) {
  EmptyService service;
  auto shell = CreateShell();
  ASSERT_NE(shell, nullptr);
  ASSERT_THAT(shell->Start({&service}), IsOk());
  HealthClient health(AddressOf(*shell));

  EXPECT_EQ(health.Check(""), "NOT_SERVING");
  EXPECT_EQ(health.Check("readiness"), "NOT_SERVING");
  EXPECT_EQ(health.Check(kService), "NOT_SERVING");
  EXPECT_EQ(health.Check("liveness"), "SERVING");
  EXPECT_EQ(health.Check("no.such.Service"), "NOT_FOUND");

  shell->SetServing(true);
  EXPECT_EQ(health.Check(""), "SERVING");
  EXPECT_EQ(health.Check("readiness"), "SERVING");
  EXPECT_EQ(health.Check(kService), "SERVING");

  shell->SetServing(kService, false);
  EXPECT_EQ(health.Check(""), "SERVING");
  EXPECT_EQ(health.Check(kService), "NOT_SERVING");
}

TEST(ServerShellTest, AFailureTurnsEverythingOffAndEndsWithStatusOne) {
  EmptyService service;
  auto shell = CreateShell();
  ASSERT_NE(shell, nullptr);
  std::atomic<int> aborts{0};
  shell->OnAbort([&] { ++aborts; });
  ASSERT_THAT(shell->Start({&service}), IsOk());
  shell->SetServing(true);
  shell->Fail(absl::UnavailableError("rank 1 is gone"));
  shell->Fail(absl::UnavailableError("a consequence"));
  shell->SetServing(true);  // too late to count
  EXPECT_EQ(shell->Wait(), 1);
  EXPECT_THAT(shell->failure(), StatusIs(absl::StatusCode::kUnavailable, "rank 1 is gone"));
  EXPECT_EQ(aborts, 1);
}

TEST(ServerShellTest, AStopTellsDrainThenEndsWithStatusZero) {
  EmptyService service;
  auto shell = CreateShell();
  ASSERT_NE(shell, nullptr);
  std::atomic<int> drains{0}, aborts{0};
  shell->OnDrain([&](absl::Time deadline) { drains += deadline > absl::Now() ? 1 : 100; });
  shell->OnAbort([&] { ++aborts; });
  ASSERT_THAT(shell->Start({&service}), IsOk());
  shell->SetServing(true);
  shell->RequestStop();
  EXPECT_EQ(shell->Wait(), 0);
  EXPECT_EQ(drains, 1);
  EXPECT_EQ(aborts, 0);
  EXPECT_TRUE(shell->stopping());
}

// The answer of the reflection service to `list_services`, as raw bytes: reflection.proto is not
// among the distribution's headers. Field 7 of the request is list_services.
std::string ListServices(const std::string& address) {
  const std::string request("\x3a\x01*", 3);
  grpc::Slice slice(request);
  const grpc::ByteBuffer question(&slice, 1);
  grpc::ByteBuffer answer;
  grpc::GenericStub stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  grpc::CompletionQueue queue;
  auto call = stub.PrepareCall(
      &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  void* tag = nullptr;
  bool ok = false;
  call->StartCall(nullptr);
  EXPECT_TRUE(queue.Next(&tag, &ok) && ok);
  call->Write(question, nullptr);
  EXPECT_TRUE(queue.Next(&tag, &ok) && ok);
  call->Read(&answer, nullptr);
  EXPECT_TRUE(queue.Next(&tag, &ok) && ok);
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(answer.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& part : slices) {
    bytes.append(reinterpret_cast<const char*>(part.begin()), part.size());
  }
  context.TryCancel();
  grpc::Status status;
  call->Finish(&status, nullptr);
  EXPECT_TRUE(queue.Next(&tag, &ok));
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  return bytes;
}

TEST(ServerShellTest, TakesCallsUntilTheDrainConditionHolds) {
  EmptyService service;
  auto shell = CreateShell();
  ASSERT_NE(shell, nullptr);
  std::atomic<bool> done{false};
  shell->DrainUntil([&] { return done.load(); });
  ASSERT_THAT(shell->Start({&service}), IsOk());
  shell->SetServing(true);
  HealthClient health(AddressOf(*shell));
  ASSERT_EQ(health.Check(""), "SERVING");
  shell->RequestStop();
  EXPECT_TRUE(health.WaitFor("", "NOT_SERVING", absl::Seconds(10)));
  EXPECT_EQ(HealthClient(AddressOf(*shell)).Check(""), "NOT_SERVING");  // a new connection
  done = true;
  EXPECT_EQ(shell->Wait(), 0);
  EXPECT_EQ(health.Check(""), "UNAVAILABLE");
}

TEST(ServerShellTest, ReflectionListsItsServices) {
  EmptyService service;
  auto shell = CreateShell();
  ASSERT_NE(shell, nullptr);
  ASSERT_THAT(shell->Start({&service}), IsOk());
  const std::string services = ListServices(AddressOf(*shell));
  EXPECT_THAT(services, HasSubstr(kService));
  EXPECT_THAT(services, HasSubstr("grpc.health.v1.Health"));
}

TEST(ServerShellTest, TheMetricsPageCanBeFetched) {
  EmptyService service;
  auto shell = CreateShell("127.0.0.1:0");
  ASSERT_NE(shell, nullptr);
  prometheus::BuildCounter().Name("facet_test_total").Help("x").Register(shell->registry()).Add({});
  auto page = testing::HttpGet(shell->metrics_port(), "/metrics");
  ASSERT_THAT(page, IsOk());
  EXPECT_EQ(testing::MetricValue(*page, "facet_test_total").value_or(-1), 0) << *page;
  EXPECT_GT(testing::MetricValue(*page, "process_resident_memory_bytes").value_or(-1), 1e5);
  EXPECT_GT(testing::MetricValue(*page, "process_start_time_seconds").value_or(-1), 1e9);
  EXPECT_GT(testing::MetricValue(*page, "process_open_fds").value_or(-1), 2);
  EXPECT_THAT(*page, HasSubstr("facet_build_info{version=\""));
}

TEST(ServerShellTest, RefusesAPortThatIsTaken) {
  EmptyService service;
  auto first = CreateShell("127.0.0.1:0");
  ASSERT_NE(first, nullptr);
  ASSERT_THAT(first->Start({&service}), IsOk());

  ServerShellOptions options;
  options.listen = AddressOf(*first);
  auto second = ServerShell::Create(options);
  ASSERT_THAT(second, IsOk());
  EXPECT_THAT((*second)->Start({}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr(options.listen)));

  ServerShellOptions same_page;
  same_page.metrics_listen = "127.0.0.1:" + std::to_string(first->metrics_port());
  EXPECT_THAT(ServerShell::Create(same_page),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr(same_page.metrics_listen)));
}

struct OptionsCase {
  std::string name;
  std::function<void(ServerShellOptions&)> change;
  std::string message;
};
class ServerShellOptionsTest : public ::testing::TestWithParam<OptionsCase> {};

TEST_P(ServerShellOptionsTest, RefusesWithTheFieldsName) {
  ServerShellOptions options;
  ASSERT_THAT(options.Validate(), IsOk());
  GetParam().change(options);
  EXPECT_THAT(ServerShell::Create(options),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
}
INSTANTIATE_TEST_SUITE_P(
    Bad, ServerShellOptionsTest,
    ::testing::ValuesIn(std::vector<OptionsCase>{
        {"listen", [](auto& o) { o.listen = "7000"; }, "'7000' is not of the form host:port"},
        {"metrics", [](auto& o) { o.metrics_listen = "x"; }, "metrics address 'x'"},
        {"grace", [](auto& o) { o.grace_period = absl::Seconds(-1); }, "grace period is -1s"},
        {"delay", [](auto& o) { o.drain_delay = absl::Hours(1); }, "drain delay is 1h"},
        {"message", [](auto& o) { o.max_receive_message_bytes = 1; }, "bytes is 1;"},
    }),
    [](const auto& info) { return info.param.name; });

// The same shell in a process of its own, with real signals.
class ShellProcessTest : public ::testing::Test {
 protected:
  void StartServer(std::vector<std::string> flags, std::vector<std::string> environment = {}) {
    const std::string port_file = testing::MakeTestDir() + "/ports";
    std::vector<std::string> argv = {
        testing::BinaryPath("services/serving/server_shell_test_server"),
        "--port-file=" + port_file};
    argv.insert(argv.end(), flags.begin(), flags.end());
    auto child = ChildProcess::Start({.argv = argv, .environment = environment});
    ASSERT_THAT(child, IsOk());
    child_ = *std::move(child);
    auto ports = testing::WaitForPorts(port_file, absl::Seconds(30), *child_);
    ASSERT_THAT(ports, IsOk());
    address_ = ports->grpc_address();
    stub_ = internal::ShardGroup::NewStub(
        grpc::CreateChannel(address_, grpc::InsecureChannelCredentials()));
  }

  // A call of `duration` on its own thread.
  void StartCall(absl::Duration duration) {
    call_ = std::thread([this, duration] {
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(40));
      internal::GetRequest request;
      request.set_timeout_ms(absl::ToInt64Milliseconds(duration));
      internal::GetResponse response;
      call_status_ = stub_->Get(&context, request, &response);
    });
    ASSERT_THAT(child_->WaitForOutput("call started", absl::Seconds(20)), IsOk());
  }
  void WaitForCall() { call_.join(); }

  int ExitStatus(absl::Duration limit = absl::Seconds(20)) {
    auto status = child_->WaitForExit(limit);
    EXPECT_THAT(status, IsOk());
    return status.value_or(-1);
  }

  std::unique_ptr<ChildProcess> child_;
  std::string address_;
  std::unique_ptr<internal::ShardGroup::Stub> stub_;
  std::thread call_;
  grpc::Status call_status_;
};

TEST_F(ShellProcessTest, DrainsOnSigtermWhileACallRuns) {
  ASSERT_NO_FATAL_FAILURE(StartServer({}));
  HealthClient health(address_);
  ASSERT_TRUE(health.WaitFor("", "SERVING", absl::Seconds(10)));
  ASSERT_NO_FATAL_FAILURE(StartCall(absl::Milliseconds(1500)));
  child_->Signal(SIGTERM);
  // The connection of `health` gets a GOAWAY: a probe sees NOT_SERVING, or no server any more.
  EXPECT_TRUE(health.WaitFor("", "NOT_SERVING", absl::Milliseconds(500)) ||
              health.Check("") == "UNAVAILABLE");
  EXPECT_FALSE(child_->HasExited());
  WaitForCall();
  EXPECT_TRUE(call_status_.ok()) << call_status_.error_message();
  EXPECT_EQ(ExitStatus(), 0);
}

TEST_F(ShellProcessTest, CancelsWhatIsLeftWhenTheGracePeriodIsOver) {
  ASSERT_NO_FATAL_FAILURE(StartServer({"--grace-period=200ms"}));
  ASSERT_NO_FATAL_FAILURE(StartCall(absl::Seconds(30)));
  child_->Signal(SIGTERM);
  EXPECT_EQ(ExitStatus(), 0);
  WaitForCall();
  EXPECT_THAT(call_status_.error_code(),
              AnyOf(grpc::StatusCode::CANCELLED, grpc::StatusCode::UNAVAILABLE));
}

TEST_F(ShellProcessTest, ASecondSignalEndsTheWait) {
  ASSERT_NO_FATAL_FAILURE(StartServer({"--grace-period=30s"}));
  ASSERT_NO_FATAL_FAILURE(StartCall(absl::Seconds(30)));
  child_->Signal(SIGINT);
  ASSERT_THAT(child_->WaitForOutput("draining", absl::Seconds(10)), IsOk());
  child_->Signal(SIGINT);
  EXPECT_EQ(ExitStatus(absl::Seconds(10)), 1);
  WaitForCall();
  EXPECT_FALSE(call_status_.ok());
}

TEST_F(ShellProcessTest, EndsWithoutACallThatIgnoresItsCancellation) {
  ASSERT_NO_FATAL_FAILURE(StartServer({"--grace-period=100ms", "--deaf"}));
  ASSERT_NO_FATAL_FAILURE(StartCall(absl::Seconds(35)));
  child_->Signal(SIGTERM);
  EXPECT_EQ(ExitStatus(), 1);
  WaitForCall();
}

TEST_F(ShellProcessTest, ASignalWhileLoadingEndsTheProcessAtOnce) {
  ASSERT_NO_FATAL_FAILURE(StartServer({"--never_ready"}));
  EXPECT_EQ(HealthClient(address_).Check(""), "NOT_SERVING");
  child_->Signal(SIGTERM);
  EXPECT_EQ(ExitStatus(absl::Seconds(10)), 0);
}

TEST_F(ShellProcessTest, TheEnvironmentSetsFlagsAndTheCommandLineWins) {
  ASSERT_NO_FATAL_FAILURE(
      StartServer({"--grace-period", "7s"}, {"FACET_GRACE_PERIOD=3s", "FACET_DEAF=true"}));
  ASSERT_THAT(child_->WaitForOutput("grace_period=", absl::Seconds(10)), IsOk());
  EXPECT_THAT(child_->Output(), HasSubstr("deaf=true grace_period=7s never_ready=false"));
}

TEST(FlagsTest, BadFlagsEndTheProcessWithAMessage) {
  struct Case {
    std::vector<std::string> flags;
    std::vector<std::string> environment;
    std::string message;
  };
  for (const Case& c : std::vector<Case>{
           {{"--no-such-flag=1"}, {}, "no_such_flag"},
           {{"--grace-period=soon"}, {}, "soon"},
           {{}, {"FACET_GRACE_PERIOD=later"}, "FACET_GRACE_PERIOD='later'"},
           {{"word"}, {}, "unexpected argument 'word'"},
       }) {
    std::vector<std::string> argv = {
        testing::BinaryPath("services/serving/server_shell_test_server")};
    argv.insert(argv.end(), c.flags.begin(), c.flags.end());
    auto child = ChildProcess::Start({.argv = argv, .environment = c.environment});
    ASSERT_THAT(child, IsOk());
    auto status = (*child)->WaitForExit(absl::Seconds(20));
    ASSERT_THAT(status, IsOk());
    EXPECT_THAT(*status, AnyOf(1, 2)) << c.message;
    EXPECT_THAT((*child)->WaitForOutput(c.message, absl::Seconds(10)), IsOk());
  }
}

}  // namespace
}  // namespace facet
