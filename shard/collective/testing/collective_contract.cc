#include "shard/collective/testing/collective_contract.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "shard/collective/testing/reference_collective.h"
#include "shard/collective/testing/watchdog.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr size_t kSizes[] = {0, 1, 7, 1000, 8192 + 3, 300000};
// Long enough never to end on a busy machine: a hang shows as DeadlineExceeded.
const absl::Duration kLong = absl::Seconds(40);

// A group whose ranks also leave on threads of their own, as processes would: a rank that leaves
// may wait a moment for the others.
class TestGroup {
 public:
  explicit TestGroup(const ContractCase& c) : ranks_(c.make(c.world_size, kLong)) {}
  ~TestGroup() {
    std::vector<std::thread> threads;
    for (auto& rank : ranks_) threads.emplace_back([&] { rank.reset(); });
    for (std::thread& t : threads) t.join();
  }

  std::unique_ptr<Collective>& operator[](size_t rank) { return ranks_[rank]; }
  std::unique_ptr<Collective>& back() { return ranks_.back(); }
  size_t size() const { return ranks_.size(); }
  auto begin() { return ranks_.begin(); }
  auto end() { return ranks_.end(); }

 private:
  Group ranks_;
};

// Runs `body` on a thread for each rank that has not left.
void RunRanks(TestGroup& group, const std::function<void(Collective&)>& body) {
  std::vector<std::thread> threads;
  for (auto& collective : group) {
    if (collective != nullptr) threads.emplace_back([&] { body(*collective); });
  }
  for (std::thread& t : threads) t.join();
}

// Bits, so that a NaN or the sign of a zero counts.
template <typename T>
::testing::AssertionResult SameBits(const std::vector<T>& got, const std::vector<T>& want) {
  if (got.size() != want.size()) return ::testing::AssertionFailure() << "sizes differ";
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::memcmp(&got[i], &want[i], sizeof(T)) != 0) {
      return ::testing::AssertionFailure()
             << "element " << i << " is " << +got[i] << ", not " << +want[i];
    }
  }
  return ::testing::AssertionSuccess();
}

// Each of these runs one operation on one rank and checks its result.
void CheckAllReduce(Collective& c, uint64_t seed, size_t n) {
  std::vector<float> data = TestFloats(seed, c.rank(), n);
  ASSERT_THAT(c.AllReduceSum(absl::MakeSpan(data)), IsOk());
  EXPECT_TRUE(SameBits(data, ReferenceSum(seed, c.world_size(), 0, n)))
      << "size " << n << " rank " << c.rank();
}

void CheckReduceScatter(Collective& c, uint64_t seed, size_t n) {
  const std::vector<float> in = TestFloats(seed, c.rank(), n * static_cast<size_t>(c.world_size()));
  std::vector<float> out(n);
  ASSERT_THAT(c.ReduceScatterSum(in, absl::MakeSpan(out)), IsOk());
  const size_t row = static_cast<size_t>(c.rank());
  EXPECT_TRUE(SameBits(out, ReferenceSum(seed, c.world_size(), row * n, n)))
      << "size " << n << " rank " << c.rank();
}

void CheckAllGather(Collective& c, uint64_t seed, size_t n) {
  const std::vector<uint8_t> mine = TestBytes(seed, c.rank(), n);
  std::vector<uint8_t> all(n * static_cast<size_t>(c.world_size()));
  ASSERT_THAT(c.AllGather(mine, absl::MakeSpan(all)), IsOk());
  std::vector<uint8_t> want;
  for (int r = 0; r < c.world_size(); ++r) {
    const std::vector<uint8_t> theirs = TestBytes(seed, r, n);
    want.insert(want.end(), theirs.begin(), theirs.end());
  }
  EXPECT_TRUE(SameBits(all, want)) << "size " << n << " rank " << c.rank();
}

void CheckAllToAll(Collective& c, uint64_t seed, size_t n) {
  const size_t world = static_cast<size_t>(c.world_size());
  const std::vector<uint8_t> in = TestBytes(seed, c.rank(), n * world);
  std::vector<uint8_t> out(n * world);
  ASSERT_THAT(c.AllToAll(in, absl::MakeSpan(out)), IsOk());
  std::vector<uint8_t> want;
  for (size_t from = 0; from < world; ++from) {
    for (size_t i = 0; i < n; ++i) {
      want.push_back(TestByte(seed, static_cast<int>(from), static_cast<size_t>(c.rank()) * n + i));
    }
  }
  EXPECT_TRUE(SameBits(out, want)) << "size " << n << " rank " << c.rank();
}

void CheckBroadcast(Collective& c, uint64_t seed, size_t n, int root) {
  std::vector<uint8_t> data = TestBytes(seed, c.rank(), n);
  ASSERT_THAT(c.Broadcast(absl::MakeSpan(data), root), IsOk());
  EXPECT_TRUE(SameBits(data, TestBytes(seed, root, n))) << "size " << n << " root " << root;
}

// A rank that comes late to a broken group may still find all it needs for one operation, where
// the news travels no faster than the data.
absl::Status FirstError(const std::function<absl::Status()>& call) {
  absl::Status status;
  for (int i = 0; i < 3 && status.ok(); ++i) status = call();
  return status;
}

// Returns once the thread sleeps in the kernel.
void WaitUntilAsleep(pid_t tid) {
  for (;;) {
    std::ifstream in(absl::StrCat("/proc/self/task/", tid, "/stat"));
    std::string stat;
    std::getline(in, stat);
    const size_t name_end = stat.rfind(')');
    if (name_end != std::string::npos && stat.substr(name_end + 2, 1) == "S") return;
    std::this_thread::yield();
  }
}

double ProcessCpuSeconds() {
  rusage use = {};
  getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

}  // namespace

void PrintTo(const ContractCase& c, std::ostream* out) {
  *out << c.name << ", " << c.world_size << " ranks";
}

std::vector<ContractCase> ContractCases(const Transports& transports, int least_world_size) {
  std::vector<ContractCase> cases;
  for (const auto& [name, make] : transports) {
    for (int world_size = least_world_size; world_size <= 5; ++world_size) {
      cases.push_back({name, world_size, make});
    }
  }
  return cases;
}

std::string ContractCaseName(const ::testing::TestParamInfo<ContractCase>& info) {
  return absl::StrCat(info.param.name, "_", info.param.world_size);
}

Group ConnectOnThreads(int world_size,
                       const std::function<std::unique_ptr<Collective>(int rank)>& connect) {
  Group group(static_cast<size_t>(world_size));
  std::vector<std::thread> threads;
  for (int r = 0; r < world_size; ++r) {
    threads.emplace_back([&, r] { group[static_cast<size_t>(r)] = connect(r); });
  }
  for (std::thread& t : threads) t.join();
  for (const auto& collective : group) FACET_CHECK(collective != nullptr) << "no group";
  return group;
}

TEST_P(CollectiveContractTest, KnowsItsPlace) {
  TestGroup group(GetParam());
  for (size_t r = 0; r < group.size(); ++r) {
    EXPECT_EQ(group[r]->rank(), static_cast<int>(r));
    EXPECT_EQ(group[r]->world_size(), GetParam().world_size);
  }
}

TEST_P(CollectiveContractTest, AllReduceSumEqualsTheSumInRankOrderBitForBit) {
  TestGroup group(GetParam());
  RunRanks(group, [](Collective& c) {
    for (const size_t n : kSizes) CheckAllReduce(c, n + 1, n);
  });
}

TEST_P(CollectiveContractTest, ReduceScatterSumEqualsTheSumInRankOrderBitForBit) {
  TestGroup group(GetParam());
  RunRanks(group, [](Collective& c) {
    for (const size_t n : kSizes) CheckReduceScatter(c, n + 2, n);
  });
}

TEST_P(CollectiveContractTest, AllGatherPutsTheRanksInOrder) {
  TestGroup group(GetParam());
  RunRanks(group, [](Collective& c) {
    for (const size_t n : kSizes) CheckAllGather(c, n + 3, n);
  });
}

TEST_P(CollectiveContractTest, AllToAllTransposesTheBlocks) {
  TestGroup group(GetParam());
  RunRanks(group, [](Collective& c) {
    for (const size_t n : kSizes) CheckAllToAll(c, n + 4, n);
  });
}

TEST_P(CollectiveContractTest, BroadcastCopiesTheRootWhicheverItIs) {
  TestGroup group(GetParam());
  RunRanks(group, [](Collective& c) {
    for (int root = 0; root < c.world_size(); ++root) {
      for (const size_t n : kSizes) CheckBroadcast(c, n + 5, n, root);
    }
  });
}

TEST_P(CollectiveContractTest, SumsNotANumberAndInfinityLikeTheProcessorDoes) {
  TestGroup group(GetParam());
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<std::vector<float>> results(group.size());
  RunRanks(group, [&](Collective& c) {
    const float last = c.rank() == c.world_size() - 1 ? 1.0f : 0.0f;
    std::vector<float> data = {inf * last, std::nanf("7") * last, -0.0f};
    if (last == 0.0f) data = {1.0f, 2.0f, -0.0f};
    ASSERT_THAT(c.AllReduceSum(absl::MakeSpan(data)), IsOk());
    results[static_cast<size_t>(c.rank())] = data;
  });
  for (const std::vector<float>& result : results) {
    EXPECT_EQ(result[0], inf);
    EXPECT_TRUE(std::isnan(result[1]));
    EXPECT_EQ(result[2], 0.0f);
    EXPECT_TRUE(std::signbit(result[2]));
    EXPECT_TRUE(SameBits(result, results[0]));
  }
}

TEST_P(CollectiveContractTest, BarrierLetsNobodyThroughBeforeTheLastHasCome) {
  TestGroup group(GetParam());
  std::atomic<int> come{0};
  RunRanks(group, [&](Collective& c) {
    for (int round = 1; round <= 100; ++round) {
      come.fetch_add(1);
      ASSERT_THAT(c.Barrier(), IsOk());
      EXPECT_GE(come.load(), round * c.world_size());
    }
  });
}

TEST_P(CollectiveContractTest, SurvivesFiveHundredMixedOperations) {
  Watchdog watchdog(std::chrono::seconds(50));
  TestGroup group(GetParam());
  RunRanks(group, [](Collective& c) {
    std::mt19937 shared(11);                                  // the same on every rank
    std::mt19937 own(100 + static_cast<uint32_t>(c.rank()));  // how late this rank is
    for (uint64_t i = 0; i < 500; ++i) {
      const size_t n = shared() % (i % 50 == 0 ? 40000 : 700);
      const int root = static_cast<int>(shared() % static_cast<uint32_t>(c.world_size()));
      if (own() % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(own() % 300));
      switch (shared() % 6) {
        case 0:
          CheckAllReduce(c, i, n);
          break;
        case 1:
          CheckReduceScatter(c, i, n);
          break;
        case 2:
          CheckAllGather(c, i, n);
          break;
        case 3:
          CheckAllToAll(c, i, n);
          break;
        case 4:
          CheckBroadcast(c, i, n, root);
          break;
        default:
          ASSERT_THAT(c.Barrier(), IsOk());
      }
      if (HasFatalFailure()) return;
    }
  });
}

TEST_P(CollectiveContractTest, ARankMayLeaveRightAfterTheLastOperation) {
  for (int round = 0; round < 5; ++round) {
    TestGroup group(GetParam());
    std::vector<std::thread> threads;
    for (auto& collective : group) {
      threads.emplace_back([&, c = std::move(collective)]() mutable {
        CheckAllGather(*c, 17, 200000);
        c.reset();
      });
    }
    for (std::thread& t : threads) t.join();
  }
}

TEST_P(CollectiveContractTest, WrongSizesAreInvalidArguments) {
  const int world = GetParam().world_size;
  std::vector<uint8_t> bytes(100);
  std::vector<float> floats(100);
  const auto mutable_bytes = absl::MakeSpan(bytes);
  const auto mutable_floats = absl::MakeSpan(floats);
  const std::vector<std::pair<std::string, std::function<absl::Status(Collective&)>>> cases = {
      {"`all` has 51 elements",
       [&](Collective& c) { return c.AllGather(mutable_bytes.first(10), mutable_bytes.last(51)); }},
      {"`in` has 51 elements",
       [&](Collective& c) {
         return c.ReduceScatterSum(mutable_floats.last(51), mutable_floats.first(10));
       }},
      {"`in` has 10 bytes and `out` 11",
       [&](Collective& c) { return c.AllToAll(mutable_bytes.first(10), mutable_bytes.last(11)); }},
      {"overlap",
       [&](Collective& c) {
         return c.AllToAll(mutable_bytes.first(60), mutable_bytes.subspan(30, 60));
       }},
      {"root 5 is not in [0, ", [&](Collective& c) { return c.Broadcast(mutable_bytes, 5); }},
      {"root -1 is not in [0, ", [&](Collective& c) { return c.Broadcast(mutable_bytes, -1); }},
  };
  for (const auto& [message, call] : cases) {
    TestGroup group(GetParam());
    const absl::Status status = call(*group[0]);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
    EXPECT_EQ(group[0]->Barrier(), status) << "the group is broken";
    if (world > 1) {
      EXPECT_THAT(group[1]->Barrier(), StatusIs(absl::StatusCode::kUnavailable,
                                                HasSubstr("rank 0 failed: INVALID_ARGUMENT")));
    }
  }
}

TEST_P(CollectivePeersTest, ARankThatNeverComesIsNamedAfterTheTimeout) {
  const int world = GetParam().world_size;
  TestGroup group(GetParam());
  const std::string missing = absl::StrCat("rank ", world - 1);
  for (auto& c : group) c->set_timeout(absl::Milliseconds(200));
  RunRanks(group, [&](Collective& c) {
    if (c.rank() == world - 1) return;
    std::vector<float> data(10);
    const auto start = Clock::now();
    const absl::Status status = c.AllReduceSum(absl::MakeSpan(data));
    const auto waited = Clock::now() - start;
    EXPECT_THAT(status,
                StatusIs(absl::StatusCode::kDeadlineExceeded,
                         AllOf(HasSubstr("AllReduceSum"), HasSubstr(missing), HasSubstr("200ms"))));
    EXPECT_GE(waited, std::chrono::milliseconds(150));  // another rank may have begun before
    EXPECT_LE(waited, std::chrono::seconds(10));
    EXPECT_EQ(c.Barrier(), status) << "later calls return the first error";
  });
  // The late rank learns why there is no group any more.
  group.back()->set_timeout(kLong);
  std::vector<float> data(10);
  EXPECT_THAT(FirstError([&] { return group.back()->AllReduceSum(absl::MakeSpan(data)); }),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr(missing)));
}

TEST_P(CollectivePeersTest, EveryMissingRankIsNamed) {
  const int world = GetParam().world_size;
  TestGroup group(GetParam());
  group[0]->set_timeout(absl::Milliseconds(100));
  std::string others = "rank 1";
  for (int r = 2; r < world; ++r) {
    others = absl::StrCat(r == 2 ? "ranks 1" : others, ", ", r);
  }
  EXPECT_THAT(group[0]->Barrier(),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr(others)));
}

TEST_P(CollectivePeersTest, AbortWakesTheWaitingCallAndThePeersAtOnce) {
  const int world = GetParam().world_size;
  TestGroup group(GetParam());
  std::vector<std::thread> threads;
  std::vector<std::atomic<pid_t>> tids(group.size());
  std::atomic<int> returned{0};
  // The last rank does not come; the others wait for it.
  for (int r = 0; r < world - 1; ++r) {
    threads.emplace_back([&, r] {
      tids[static_cast<size_t>(r)] = static_cast<pid_t>(syscall(SYS_gettid));
      const absl::Status status = group[static_cast<size_t>(r)]->Barrier();
      ++returned;
      if (r == 0) {
        EXPECT_THAT(status, StatusIs(absl::StatusCode::kCancelled, "enough"));
      } else {
        EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable,
                                     HasSubstr("rank 0 aborted: CANCELLED: enough")));
      }
      EXPECT_EQ(group[static_cast<size_t>(r)]->Barrier(), status);
    });
  }
  for (int r = 0; r < world - 1; ++r) {
    while (tids[static_cast<size_t>(r)] == 0) std::this_thread::yield();
    WaitUntilAsleep(tids[static_cast<size_t>(r)]);
  }
  EXPECT_EQ(returned, 0);
  const auto start = Clock::now();
  group[0]->Abort(absl::CancelledError("enough"));
  for (std::thread& t : threads) t.join();
  EXPECT_LE(Clock::now() - start, std::chrono::seconds(5)) << "the timeout is 40 s";
  EXPECT_THAT(
      FirstError([&] { return group.back()->Barrier(); }),
      StatusIs(absl::StatusCode::kUnavailable, HasSubstr("rank 0 aborted: CANCELLED: enough")));
}

TEST_P(CollectiveContractTest, TheFirstAbortCountsAndAnOkReasonIsCancelled) {
  TestGroup group(GetParam());
  group[0]->Abort(absl::OkStatus());
  group[0]->Abort(absl::InternalError("too late"));
  EXPECT_THAT(group[0]->Barrier(), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(group[0]->Broadcast({}, 0), StatusIs(absl::StatusCode::kCancelled));
}

TEST_P(CollectiveContractTest, AbortMayComeFromManyThreadsDuringOperations) {
  const int world = GetParam().world_size;
  for (int round = 0; round < 5; ++round) {
    TestGroup group(GetParam());
    std::vector<std::thread> aborters;
    for (int i = 0; i < 3; ++i) {
      aborters.emplace_back([&, i] {
        const size_t victim = static_cast<size_t>((round + i) % world);
        group[victim]->Abort(absl::AbortedError(absl::StrCat("reason ", i)));
      });
    }
    RunRanks(group, [](Collective& c) {
      std::vector<float> data(3000, 1.0f);
      absl::Status status;
      while (status.ok()) status = c.AllReduceSum(absl::MakeSpan(data));
      EXPECT_THAT(status, AnyOf(StatusIs(absl::StatusCode::kAborted, HasSubstr("reason ")),
                                StatusIs(absl::StatusCode::kUnavailable, HasSubstr("reason "))));
    });
    for (std::thread& t : aborters) t.join();
  }
}

TEST_P(CollectivePeersTest, ARankThatLeftIsNamed) {
  const int world = GetParam().world_size;
  TestGroup group(GetParam());
  group.back().reset();
  RunRanks(group, [&](Collective& c) {
    std::vector<float> data(10);
    EXPECT_THAT(c.AllReduceSum(absl::MakeSpan(data)),
                StatusIs(absl::StatusCode::kUnavailable,
                         HasSubstr(absl::StrCat("rank ", world - 1, " left"))));
  });
}

TEST_P(CollectivePeersTest, RanksThatCallDifferentThingsAreToldSo) {
  for (const bool other_size : {false, true}) {
    TestGroup group(GetParam());
    RunRanks(group, [&](Collective& c) {
      std::vector<float> data(c.rank() == 0 ? 10 : 20);
      absl::Status status =
          c.rank() == 0 && !other_size ? c.Barrier() : c.AllReduceSum(absl::MakeSpan(data));
      // Ranks that agree among themselves may notice one operation later.
      if (status.ok()) status = c.Barrier();
      EXPECT_THAT(status,
                  StatusIs(absl::StatusCode::kFailedPrecondition,
                           AllOf(HasSubstr("AllReduceSum of 80 bytes"),
                                 HasSubstr(other_size ? "AllReduceSum of 40 bytes" : "Barrier"))));
    });
  }
}

TEST_P(CollectivePeersTest, WaitingRanksDoNotBurnTheProcessor) {
  const int world = GetParam().world_size;
  TestGroup group(GetParam());
  const double before = ProcessCpuSeconds();
  RunRanks(group, [&](Collective& c) {
    if (c.rank() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(300));
    EXPECT_THAT(c.Barrier(), IsOk());
  });
  EXPECT_LE(ProcessCpuSeconds() - before, 0.15) << "of 0.3 s, with " << world - 1 << " waiting";
}

}  // namespace facet
