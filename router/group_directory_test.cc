#include "router/group_directory.h"

#include <atomic>
#include <map>
#include <optional>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router/testing/fake_shard_engine.h"
#include "router/testing/test_model.h"
#include "router/testing/wait_for.h"

namespace facet {
namespace {

using testing::FakeShardEngine;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;
using testing::WaitFor;

class CountingSink : public ShardSink {
 public:
  void OnOutput(const internal::SequenceOutput& output) override {
    if (output.has_finish()) ++finished;
  }
  void OnLost(const absl::Status&) override { ++lost; }
  std::atomic<int> finished{0};
  std::atomic<int> lost{0};
};

class GroupDirectoryTest : public ::testing::Test {
 protected:
  GroupDirectory::Options Options(const std::vector<std::string>& addresses) {
    GroupDirectory::Options options;
    options.addresses.fixed = addresses;
    options.client.expected = {model_->config.model_type, model_->vocab_size(), ""};
    options.client.probe_interval = absl::Milliseconds(10);
    options.client.probe_timeout = absl::Seconds(2);
    options.client.min_backoff = absl::Milliseconds(5);
    options.client.max_backoff = absl::Milliseconds(50);
    options.context_length = 1000;
    return options;
  }

  std::unique_ptr<GroupDirectory> Start(GroupDirectory::Options options) {
    return std::make_unique<GroupDirectory>(std::move(options), [this](int ready, int total) {
      ready_ = ready;
      total_ = total;
    });
  }

  static internal::SubmitRequest Request(int prompt_tokens = 1) {
    internal::SubmitRequest request;
    for (int i = 0; i < prompt_tokens; ++i) request.add_prompt(i);
    request.mutable_stopping()->set_max_tokens(2);
    return request;
  }

  std::unique_ptr<ServedModel> model_ = testing::MakeTestModel(/*with_tokenizer=*/false);
  std::shared_ptr<CountingSink> sink_ = std::make_shared<CountingSink>();
  std::atomic<int> ready_{-1};
  std::atomic<int> total_{-1};
};

TEST_F(GroupDirectoryTest, TellsHowManyGroupsAreReady) {
  FakeShardEngine a(*model_), b(*model_);
  b.SetServing(false);
  const auto directory = Start(Options({a.address(), b.address()}));
  EXPECT_TRUE(WaitFor([&] { return ready_ == 1; }));
  EXPECT_EQ(total_, 2);
  b.SetServing(true);
  EXPECT_TRUE(WaitFor([&] { return ready_ == 2; }));
  a.SetServing(false);
  EXPECT_TRUE(WaitFor([&] { return ready_ == 1; }));
  EXPECT_EQ(directory->ready_groups(), 1);
  EXPECT_EQ(directory->total_groups(), 2);
}

TEST_F(GroupDirectoryTest, SpreadsRequestsByLoadAndEvenly) {
  FakeShardEngine a(*model_), b(*model_), c(*model_);
  const auto directory = Start(Options({a.address(), b.address(), c.address()}));
  ASSERT_TRUE(WaitFor([&] { return ready_ == 3; }));
  std::map<std::string, int> counts;
  for (int i = 0; i < 30; ++i) {
    const auto placed = directory->Submit(Request(), sink_, {});
    ASSERT_THAT(placed, IsOk());
    ++counts[placed->group->address()];
  }
  for (const auto& [address, count] : counts) EXPECT_EQ(count, 10) << address;
  // One long prompt weighs as much as many short ones.
  const auto loaded = directory->Submit(Request(500), sink_, {});
  ASSERT_THAT(loaded, IsOk());
  for (int i = 0; i < 20; ++i) {
    EXPECT_NE(directory->Submit(Request(), sink_, {})->group->address(), loaded->group->address());
  }
}

TEST_F(GroupDirectoryTest, LeavesOutExcludedGroups) {
  FakeShardEngine a(*model_), b(*model_);
  const auto directory = Start(Options({a.address(), b.address()}));
  ASSERT_TRUE(WaitFor([&] { return ready_ == 2; }));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(directory->Submit(Request(), sink_, {a.address()})->group->address(), b.address());
  }
  EXPECT_THAT(directory->Submit(Request(), sink_, {a.address(), b.address()}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("no other")));
}

TEST_F(GroupDirectoryTest, ManyRequestsWithADeadGroupAllFindTheOther) {
  auto a = std::make_unique<FakeShardEngine>(*model_);
  FakeShardEngine b(*model_, testing::CountUp());
  const auto directory = Start(Options({a->address(), b.address()}));
  ASSERT_TRUE(WaitFor([&] { return ready_ == 2; }));
  a.reset();
  ASSERT_TRUE(WaitFor([&] { return ready_ == 1; }));
  for (int i = 0; i < 1000; ++i) ASSERT_THAT(directory->Submit(Request(), sink_, {}), IsOk());
  EXPECT_TRUE(WaitFor([&] { return sink_->finished == 1000; })) << sink_->finished;
  EXPECT_EQ(sink_->lost, 0);
}

TEST_F(GroupDirectoryTest, WaitersHearWhenAGroupIsReadyOrTimeIsOver) {
  FakeShardEngine a(*model_);
  a.SetServing(false);
  const auto directory = Start(Options({a.address()}));
  EXPECT_THAT(directory->Submit(Request(), sink_, {}), StatusIs(absl::StatusCode::kUnavailable));
  std::atomic<int> timed_out{0}, ready{0};
  directory->WhenReady(absl::Milliseconds(20), [&](bool r) { ++(r ? ready : timed_out); });
  EXPECT_TRUE(WaitFor([&] { return timed_out == 1; }));
  directory->WhenReady(absl::Seconds(60), [&](bool r) { ++(r ? ready : timed_out); });
  EXPECT_EQ(directory->waiting(), 1);
  a.SetServing(true);
  EXPECT_TRUE(WaitFor([&] { return ready == 1; }));
  directory->WhenReady(absl::Seconds(60), [&](bool r) { ++(r ? ready : timed_out); });
  EXPECT_EQ(ready, 2);  // at once
  EXPECT_EQ(timed_out, 1);
}

TEST_F(GroupDirectoryTest, TheContextIsTheShortestOfTheReadyGroups) {
  FakeShardEngine a(*model_), b(*model_);
  internal::EngineInfo info = b.info();
  info.set_context_length(40);
  b.SetInfo(info);
  const auto directory = Start(Options({a.address(), b.address()}));
  ASSERT_TRUE(WaitFor([&] { return ready_ == 2; }));
  EXPECT_EQ(directory->context_length(), 40);
  b.SetServing(false);
  ASSERT_TRUE(WaitFor([&] { return ready_ == 1; }));
  EXPECT_EQ(directory->context_length(), testing::kTestContextLength);
  a.SetServing(false);
  ASSERT_TRUE(WaitFor([&] { return ready_ == 0; }));
  EXPECT_EQ(directory->context_length(), 40);
}

TEST_F(GroupDirectoryTest, BeforeAnyGroupIsKnownTheContextIsTheModels) {
  const auto directory = Start(Options({"127.0.0.1:1"}));
  EXPECT_EQ(directory->context_length(), 1000);
}

TEST_F(GroupDirectoryTest, FollowsADnsName) {
  FakeShardEngine a(*model_), b(*model_);
  std::mutex mutex;
  absl::StatusOr<std::vector<std::string>> answer = std::vector<std::string>{a.address()};
  const auto set_answer = [&](absl::StatusOr<std::vector<std::string>> next) {
    std::lock_guard<std::mutex> lock(mutex);
    answer = std::move(next);
  };
  GroupDirectory::Options options = Options({});
  options.addresses.dns = {{"groups.example", "7000"}};
  options.resolve_interval = absl::Milliseconds(10);
  options.resolver = [&](const GroupAddresses::DnsName& name) {
    EXPECT_EQ(name.host, "groups.example");
    std::lock_guard<std::mutex> lock(mutex);
    return answer;
  };
  const auto directory = Start(std::move(options));
  ASSERT_TRUE(WaitFor([&] { return ready_ == 1; }));

  set_answer(std::vector<std::string>{a.address(), b.address()});
  ASSERT_TRUE(WaitFor([&] { return ready_ == 2; }));

  // A group that leaves gets nothing new, and finishes what it has.
  const auto placed = directory->Submit(Request(), sink_, {b.address()});
  ASSERT_THAT(placed, IsOk());
  ASSERT_EQ(a.WaitForSubmits(1).size(), 1u);
  set_answer(std::vector<std::string>{b.address()});
  ASSERT_TRUE(WaitFor([&] { return total_ == 1; }));
  EXPECT_EQ(directory->Submit(Request(), sink_, {})->group->address(), b.address());
  a.Send(placed->id, {1}, internal::Finish::LENGTH);
  EXPECT_TRUE(WaitFor([&] { return sink_->finished == 1; }));
  EXPECT_EQ(sink_->lost, 0);

  // A look-up that fails changes nothing.
  set_answer(absl::UnavailableError("no answer"));
  EXPECT_FALSE(WaitFor([&] { return total_ != 1; }, absl::Milliseconds(100)));
  EXPECT_EQ(directory->ready_groups(), 1);
}

TEST_F(GroupDirectoryTest, TheConnectionOfAGroupThatLeftIsClosed) {
  FakeShardEngine a(*model_);
  std::atomic<bool> left{false};
  GroupDirectory::Options options = Options({});
  options.addresses.dns = {{"groups.example", "7000"}};
  options.resolve_interval = absl::Milliseconds(10);
  options.resolver =
      [&](const GroupAddresses::DnsName&) -> absl::StatusOr<std::vector<std::string>> {
    if (left) return std::vector<std::string>{"127.0.0.1:1"};
    return std::vector<std::string>{a.address()};
  };
  const auto directory = Start(std::move(options));
  ASSERT_TRUE(WaitFor([&] { return ready_ == 1 && a.streams_open() == 1; }));
  left = true;
  EXPECT_TRUE(WaitFor([&] { return a.streams_open() == 0; }));
}

TEST_F(GroupDirectoryTest, ARequestThatIsNeverGivenUpDoesNotOutliveTheDirectory) {
  // As a call does, it holds its place on the group until it hears that the group is lost.
  class HoldingSink : public CountingSink {
   public:
    void OnLost(const absl::Status& reason) override {
      CountingSink::OnLost(reason);
      placed.reset();
    }
    std::optional<GroupDirectory::Placed> placed;
  };
  FakeShardEngine engine(*model_);
  for (const bool keeps : {false, true}) {
    auto directory = Start(Options({engine.address()}));
    ASSERT_TRUE(WaitFor([&] { return ready_ == 1; }));
    const auto sink = std::make_shared<HoldingSink>();
    auto placed = directory->Submit(Request(), sink, {});
    ASSERT_THAT(placed.status(), IsOk());
    sink->placed = *placed;
    if (!keeps) placed = absl::CancelledError();
    directory.reset();
    EXPECT_EQ(sink->lost, 1);
    EXPECT_EQ(ready_, 0);
    if (!keeps) continue;
    placed->group->Cancel(placed->id);
    EXPECT_THAT(placed->group->Submit(Request(), sink), StatusIs(absl::StatusCode::kUnavailable));
  }
}

}  // namespace
}  // namespace facet
