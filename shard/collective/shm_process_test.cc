// Shared memory between real processes: what happens when they die, stop, never come or left
// something behind.

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shard/collective/shm_collective.h"
#include "shard/collective/shm_segment.h"
#include "shard/collective/testing/child_process.h"
#include "shard/collective/testing/reference_collective.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Clock = std::chrono::steady_clock;

const std::string& Prefix() {
  static const std::string prefix = absl::StrCat("facet-process-", getpid(), "-");
  return prefix;
}

ShmCollectiveOptions NewGroup(int world_size) {
  static int groups = 0;
  ShmCollectiveOptions options;
  options.segment_name = absl::StrCat("/", Prefix(), ++groups);
  options.world_size = world_size;
  options.slot_bytes = 4096;
  options.timeout = absl::Seconds(30);
  options.connect_timeout = absl::Seconds(30);
  return options;
}

absl::StatusOr<std::unique_ptr<Collective>> Join(ShmCollectiveOptions options, int rank) {
  options.rank = rank;
  return CreateShmCollective(options);
}

std::vector<std::string> Leftovers() {
  std::vector<std::string> names;
  DIR* folder = opendir("/dev/shm");
  FACET_CHECK(folder != nullptr) << "no /dev/shm";
  while (const dirent* entry = readdir(folder)) {
    if (absl::StartsWith(entry->d_name, Prefix())) names.push_back(entry->d_name);
  }
  closedir(folder);
  return names;
}

// Operations until one fails.
absl::Status ReduceUntilError(Collective& c, size_t floats) {
  std::vector<float> data(floats, 1.0f);
  absl::Status status;
  while (status.ok()) status = c.AllReduceSum(absl::MakeSpan(data));
  return status;
}

// Exit code of a child: 0 if the status is as wanted. The complaint goes to stderr.
int Expect(const absl::Status& status, absl::StatusCode code, const std::string& message) {
  if (status.code() == code && absl::StrContains(status.message(), message)) return 0;
  FACET_LOG(Error) << "got " << status.ToString() << ", want " << absl::StatusCodeToString(code)
                   << " with: " << message;
  return 1;
}

class ShmProcessTest : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_THAT(Leftovers(), IsEmpty()); }
};

TEST_F(ShmProcessTest, ProcessesAgreeWithTheReferenceBitForBit) {
  constexpr int kWorld = 4;
  const ShmCollectiveOptions options = NewGroup(kWorld);
  const auto run = [&](int rank) {
    auto c = Join(options, rank);
    FACET_CHECK(c.ok()) << c.status().ToString();
    for (uint64_t i = 0; i < 200; ++i) {
      const size_t n = i * 37 % 5000;
      std::vector<float> data = TestFloats(i, rank, n);
      const absl::Status status = (*c)->AllReduceSum(absl::MakeSpan(data));
      FACET_CHECK(status.ok()) << status.ToString();
      const std::vector<float> want = ReferenceSum(i, kWorld, 0, n);
      if (n > 0 && std::memcmp(data.data(), want.data(), n * sizeof(float)) != 0) return 1;
    }
    return 0;
  };
  std::vector<ChildProcess> children;
  for (int r = 1; r < kWorld; ++r) children.push_back(ChildProcess::Fork([&] { return run(r); }));
  EXPECT_EQ(run(0), 0);
  for (ChildProcess& child : children) EXPECT_EQ(child.Wait(), 0);
}

// Rank 0 here, 1 and 2 in children; `harm` is done to rank 2 while all are at work.
void RunWithHarm(size_t floats, absl::Duration timeout, absl::StatusCode code,
                 const std::string& message,
                 const std::function<void(const ChildProcess& rank2)>& harm) {
  ShmCollectiveOptions options = NewGroup(3);
  options.timeout = timeout;
  const auto child = [&](int rank) {
    auto c = Join(options, rank);
    FACET_CHECK(c.ok()) << c.status().ToString();
    return Expect(ReduceUntilError(**c, floats), code, message);
  };
  ChildProcess rank1 = ChildProcess::Fork([&] { return child(1); });
  ChildProcess rank2 = ChildProcess::Fork([&] { return child(2); });
  auto c = Join(options, 0);
  ASSERT_THAT(c, IsOk());
  std::vector<float> data(floats, 1.0f);
  for (int i = 0; i < 50; ++i) ASSERT_THAT((*c)->AllReduceSum(absl::MakeSpan(data)), IsOk());
  harm(rank2);
  const auto start = Clock::now();
  EXPECT_THAT(ReduceUntilError(**c, floats), StatusIs(code, HasSubstr(message)));
  EXPECT_LE(Clock::now() - start, std::chrono::seconds(5));
  EXPECT_EQ(rank1.Wait(), 0);
}

TEST_F(ShmProcessTest, AKilledPeerIsNamedLongBeforeTheTimeout) {
  for (const size_t floats : {100, 30000}) {
    for (int round = 0; round < 3; ++round) {
      RunWithHarm(floats, absl::Seconds(30), absl::StatusCode::kUnavailable, "rank 2 died",
                  [](const ChildProcess& rank2) { rank2.Signal(SIGKILL); });
    }
  }
}

TEST_F(ShmProcessTest, AStoppedPeerIsNamedAfterTheTimeout) {
  RunWithHarm(1000, absl::Milliseconds(300), absl::StatusCode::kDeadlineExceeded,
              "rank 2 did not come within 300ms",
              [](const ChildProcess& rank2) { rank2.Signal(SIGSTOP); });
}

TEST_F(ShmProcessTest, AStoppedPeerThatGoesOnLearnsWhatHappened) {
  ShmCollectiveOptions options = NewGroup(2);
  options.timeout = absl::Milliseconds(300);
  ChildProcess rank1 = ChildProcess::Fork([&] {
    auto c = Join(options, 1);
    FACET_CHECK(c.ok()) << c.status().ToString();
    (*c)->set_timeout(absl::Seconds(30));
    return Expect(ReduceUntilError(**c, 100), absl::StatusCode::kDeadlineExceeded,
                  "rank 0 reports: AllReduceSum of 400 bytes: rank 1 did not come within 300ms");
  });
  auto c = Join(options, 0);
  ASSERT_THAT(c, IsOk());
  rank1.Signal(SIGSTOP);
  EXPECT_THAT(ReduceUntilError(**c, 100), StatusIs(absl::StatusCode::kDeadlineExceeded));
  rank1.Signal(SIGCONT);
  EXPECT_EQ(rank1.Wait(), 0);
}

TEST_F(ShmProcessTest, APeerInAnotherPidNamespaceIsNamedWhenItDies) {
  const ShmCollectiveOptions options = NewGroup(2);
  int order[2];
  ASSERT_EQ(pipe(order), 0);
  constexpr int kNotPermitted = 77;
  // The child stays in our namespace and its child, rank 1, is number 1 of a new one.
  ChildProcess keeper = ChildProcess::Fork([&] {
    if (unshare(CLONE_NEWPID) != 0) return kNotPermitted;
    const pid_t rank1 = fork();
    if (rank1 == 0) {
      auto c = Join(options, 1);
      _exit(c.ok() && getpid() == 1 ? Expect(ReduceUntilError(**c, 100), {}, "") : 1);
    }
    char byte;
    if (read(order[0], &byte, 1) != 1) return 1;
    kill(rank1, SIGKILL);
    return waitpid(rank1, nullptr, 0) == rank1 ? 0 : 1;
  });
  ShmCollectiveOptions mine = options;
  mine.connect_timeout = absl::Seconds(5);
  auto c = Join(mine, 0);
  if (!c.ok()) {
    ASSERT_EQ(keeper.Wait(), kNotPermitted) << c.status();
    GTEST_SKIP() << "no permission for a PID namespace";
  }
  std::vector<float> data(100, 1.0f);
  for (int i = 0; i < 20; ++i) ASSERT_THAT((*c)->AllReduceSum(absl::MakeSpan(data)), IsOk());
  ASSERT_EQ(write(order[1], "k", 1), 1);
  EXPECT_THAT(ReduceUntilError(**c, 100),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("rank 1 died")));
  EXPECT_EQ(keeper.Wait(), 0);
}

TEST_F(ShmProcessTest, NothingIsLeftWhenAllRanksAreKilled) {
  const ShmCollectiveOptions options = NewGroup(3);
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  std::vector<ChildProcess> children;
  for (int r = 0; r < 3; ++r) {
    children.push_back(ChildProcess::Fork([&, r] {
      auto c = Join(options, r);
      if (!c.ok() || write(ready[1], "r", 1) != 1) return 1;
      (void)ReduceUntilError(**c, 30000);
      return 0;
    }));
  }
  char byte;
  for (int r = 0; r < 3; ++r) ASSERT_EQ(read(ready[0], &byte, 1), 1);
  for (ChildProcess& child : children) child.Signal(SIGKILL);
  for (ChildProcess& child : children) EXPECT_THAT(child.Wait(), ::testing::AnyOf(-SIGKILL, 0));
}

// A creator that waits for its peers; returns once its segment is there.
ChildProcess WaitingCreator(const ShmCollectiveOptions& options) {
  ChildProcess creator =
      ChildProcess::Fork([&] { return Expect(Join(options, 0).status(), {}, ""); });
  struct stat info = {};
  const std::string path = absl::StrCat("/dev/shm", options.segment_name);
  while (stat(path.c_str(), &info) != 0 || info.st_size == 0) std::this_thread::yield();
  return creator;
}

TEST_F(ShmProcessTest, AStaleSegmentOfTheSameNameDoesNotConfuse) {
  const ShmCollectiveOptions options = NewGroup(2);
  {
    ChildProcess dead = WaitingCreator(options);
    dead.Signal(SIGKILL);
    EXPECT_EQ(dead.Wait(), -SIGKILL);
  }
  ASSERT_THAT(Leftovers(), ::testing::SizeIs(1)) << "the test made no stale segment";
  // Who attaches passes it over, even if it looks first.
  ShmCollectiveOptions impatient = options;
  impatient.connect_timeout = absl::Milliseconds(100);
  EXPECT_THAT(Join(impatient, 1),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       AllOf(HasSubstr("rank 0 did not create"), HasSubstr(options.segment_name),
                             HasSubstr("100ms"))));
  ChildProcess rank1 = ChildProcess::Fork([&] {
    auto c = Join(options, 1);
    return c.ok() ? Expect((*c)->Barrier(), {}, "") : 1;
  });
  auto c = Join(options, 0);
  ASSERT_THAT(c, IsOk());
  EXPECT_THAT((*c)->Barrier(), IsOk());
  EXPECT_EQ(rank1.Wait(), 0);
}

TEST_F(ShmProcessTest, GarbageOfTheSameNameDoesNotConfuse) {
  const ShmCollectiveOptions options = NewGroup(2);
  const int fd = shm_open(options.segment_name.c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_GE(fd, 0);
  const std::string garbage(100000, 'x');
  ASSERT_EQ(write(fd, garbage.data(), garbage.size()), 100000);
  close(fd);
  ChildProcess rank1 =
      ChildProcess::Fork([&] { return Expect(Join(options, 1).status(), {}, ""); });
  EXPECT_THAT(Join(options, 0), IsOk());
  EXPECT_EQ(rank1.Wait(), 0);
}

TEST_F(ShmProcessTest, TwoStartingGroupsCannotTakeOneName) {
  const ShmCollectiveOptions options = NewGroup(2);
  ChildProcess creator = WaitingCreator(options);
  EXPECT_THAT(Join(options, 0),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr(options.segment_name)));
  EXPECT_THAT(Join(options, 1), IsOk()) << "the first creator still works";
  EXPECT_EQ(creator.Wait(), 0);
}

TEST_F(ShmProcessTest, ARankThatNeverComesIsNamedWhenTheGroupStarts) {
  ShmCollectiveOptions options = NewGroup(3);
  options.connect_timeout = absl::Milliseconds(300);
  ChildProcess rank1 = ChildProcess::Fork([&] {
    return Expect(Join(options, 1).status(), absl::StatusCode::kDeadlineExceeded, "rank 2");
  });
  EXPECT_THAT(Join(options, 0), StatusIs(absl::StatusCode::kDeadlineExceeded,
                                         HasSubstr("rank 2 did not come within 300ms")));
  EXPECT_EQ(rank1.Wait(), 0);
}

TEST_F(ShmProcessTest, ARankThatDiesWhileTheGroupStartsIsNamed) {
  const ShmCollectiveOptions options = NewGroup(3);
  ChildProcess rank1 =
      ChildProcess::Fork([&] { return Expect(Join(options, 1).status(), {}, ""); });
  // Rank 2 attaches, but instead of joining it kills rank 1 as soon as that has attached too.
  ChildProcess rank2 = ChildProcess::Fork([&] {
    const auto segment = ShmSegment::Attach(options.segment_name, 2, {3, options.slot_bytes},
                                            Clock::now() + std::chrono::seconds(30));
    FACET_CHECK(segment.ok()) << segment.status().ToString();
    while ((*segment)->block(1).attached.load() == 0) std::this_thread::yield();
    kill((*segment)->block(1).pid.load(), SIGKILL);
    pause();
    return 0;
  });
  EXPECT_THAT(Join(options, 0),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr(absl::StrCat("rank 1 died: its process ", rank1.pid()))));
  EXPECT_EQ(rank1.Wait(), -SIGKILL);
}

TEST_F(ShmProcessTest, DifferentShapesAreRefused) {
  const ShmCollectiveOptions options = NewGroup(2);
  ChildProcess creator = WaitingCreator(options);
  ShmCollectiveOptions other = options;
  other.slot_bytes = 8192;
  EXPECT_THAT(Join(other, 1),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("slots of 4096 bytes"), HasSubstr("8192 bytes"))));
  other = options;
  other.world_size = 3;
  EXPECT_THAT(Join(other, 1), StatusIs(absl::StatusCode::kFailedPrecondition,
                                       AllOf(HasSubstr("2 ranks"), HasSubstr("3 ranks"))));
  EXPECT_THAT(Join(options, 1), IsOk());
  EXPECT_EQ(creator.Wait(), 0);
}

TEST_F(ShmProcessTest, TooLittleSharedMemoryIsSaidAtOnce) {
  struct statvfs space = {};
  ASSERT_EQ(statvfs("/dev/shm", &space), 0);
  if (space.f_blocks == 0) GTEST_SKIP() << "/dev/shm has no limit";
  ShmCollectiveOptions options = NewGroup(1024);
  options.slot_bytes = size_t{1} << 30;
  EXPECT_THAT(Join(options, 0), StatusIs(absl::StatusCode::kResourceExhausted,
                                         AllOf(HasSubstr("/dev/shm"), HasSubstr("1024 ranks"))));
}

struct OptionsCase {
  std::string name;
  std::function<void(ShmCollectiveOptions&)> change;
  std::string message;
};
class ShmOptionsTest : public ::testing::TestWithParam<OptionsCase> {};

TEST_P(ShmOptionsTest, BadValuesAreNamed) {
  ShmCollectiveOptions options = NewGroup(2);
  ASSERT_THAT(options.Validate(), IsOk());
  GetParam().change(options);
  EXPECT_THAT(CreateShmCollective(options),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
}

using Options = ShmCollectiveOptions;
INSTANTIATE_TEST_SUITE_P(
    Fields, ShmOptionsTest,
    ::testing::ValuesIn(std::vector<OptionsCase>{
        {"no_ranks", [](Options& o) { o.world_size = 0; }, "world_size is 0"},
        {"too_many_ranks", [](Options& o) { o.world_size = 1025; }, "world_size is 1025"},
        {"negative_rank", [](Options& o) { o.rank = -1; }, "rank is -1"},
        {"rank_outside", [](Options& o) { o.rank = 2; }, "rank is 2, not in [0, 2)"},
        {"no_name", [](Options& o) { o.segment_name = ""; }, "segment_name"},
        {"no_slash", [](Options& o) { o.segment_name = "group"; }, "segment_name"},
        {"two_slashes", [](Options& o) { o.segment_name = "/a/b"; }, "segment_name"},
        {"long_name", [](Options& o) { o.segment_name = "/" + std::string(251, 'a'); },
         "segment_name"},
        {"odd_slots", [](Options& o) { o.slot_bytes = 4097; }, "slot_bytes is 4097"},
        {"small_slots", [](Options& o) { o.slot_bytes = 2048; }, "slot_bytes is 2048"},
        {"small_for_the_ranks",
         [](Options& o) {
           o.world_size = 100;
           o.slot_bytes = 4096;
         },
         "multiple of 64 in [6400"},
        {"no_timeout", [](Options& o) { o.timeout = absl::ZeroDuration(); }, "timeout"},
        {"endless_timeout", [](Options& o) { o.connect_timeout = absl::InfiniteDuration(); },
         "timeout"},
        {"long_spin", [](Options& o) { o.spin_limit = absl::Seconds(1); }, "spin_limit is 1s"},
        {"no_threads", [](Options& o) { o.threads_per_rank = 0; }, "threads_per_rank is 0"},
    }),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace facet
