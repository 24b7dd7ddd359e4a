#include "shard/collective/testing/gloo_process_contract.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/testing/status_matchers.h"
#include "shard/collective/testing/child_process.h"
#include "shard/collective/testing/file_store.h"
#include "shard/collective/testing/reference_collective.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using Clock = std::chrono::steady_clock;

constexpr int kWorld = 3;
constexpr size_t kChunkBytes = size_t{256} << 10;

// Kills the process that has set something.
class DeadlyStore final : public KeyValueStore {
 public:
  explicit DeadlyStore(KeyValueStore& store) : store_(store) {}
  absl::Status Set(const std::string& key, const std::string& value) override {
    FACET_CHECK(store_.Set(key, value).ok()) << key;
    raise(SIGKILL);
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> Get(const std::string& key, absl::Duration timeout) override {
    return store_.Get(key, timeout);
  }

 private:
  KeyValueStore& store_;
};

// The processes of one group. This process only looks on.
class Ranks {
 public:
  Ranks(Place& place, absl::Duration timeout) : place_(place) {
    folder_ = absl::StrCat(::testing::TempDir(), "/gloo-XXXXXX");
    FACET_CHECK(mkdtemp(folder_.data()) != nullptr) << folder_;
    FACET_CHECK(pipe(ready_) == 0) << "pipe";
    options_.world_size = kWorld;
    options_.key_prefix = "test";
    options_.timeout = timeout;
    options_.connect_timeout = absl::Seconds(30);
  }
  ~Ranks() {
    close(ready_[0]);
    close(ready_[1]);
    std::filesystem::remove_all(folder_);
  }

  GlooCollectiveOptions& options() { return options_; }

  // `body` returns an exit code. `die_after_set`: the rank is killed once it has left its address.
  void Start(int rank,
             const std::function<int(const absl::StatusOr<std::unique_ptr<Collective>>&)>& body,
             bool die_after_set = false) {
    processes_.push_back(ChildProcess::Fork([&] {
      FACET_CHECK(place_.Enter(rank)) << "cannot enter the place of rank " << rank;
      options_.rank = rank;
      place_.SetAddress(options_);
      FileStore store(folder_);
      DeadlyStore deadly(store);
      return body(CreateGlooCollective(
          options_, die_after_set ? static_cast<KeyValueStore&>(deadly) : store));
    }));
  }

  // Called by a rank that is at work / waits for `ranks` such calls.
  void SayReady() const { FACET_CHECK(write(ready_[1], "r", 1) == 1) << "write"; }
  void AwaitReady(int ranks) const {
    char byte;
    for (int r = 0; r < ranks; ++r) FACET_CHECK(read(ready_[0], &byte, 1) == 1) << "read";
  }

  ChildProcess& process(size_t i) { return processes_[i]; }

 private:
  Place& place_;
  std::string folder_;
  int ready_[2];
  GlooCollectiveOptions options_;
  std::vector<ChildProcess> processes_;
};

std::unique_ptr<Place> MakePlace(const PlaceCase& c) {
  auto place = c.make(kWorld);
  if (place.ok()) return *std::move(place);
  EXPECT_TRUE(absl::IsPermissionDenied(place.status())) << place.status();
  return nullptr;
}

#define MAKE_PLACE_OR_SKIP(place)                             \
  const std::unique_ptr<Place> place = MakePlace(GetParam()); \
  if (place == nullptr) GTEST_SKIP() << "namespaces are not permitted here"

// Whoever hangs is named; who waits for it in the middle of a large message may be named with it.
bool TimedOutOnRank2(const absl::Status& status) {
  return absl::IsDeadlineExceeded(status) &&
         (absl::StrContains(status.message(), ": rank 2 did not come within 1s") ||
          absl::StrContains(status.message(), ", 2 did not come within 1s"));
}

// Exit code of a rank: 0 if the status is as wanted. The complaint goes to stderr.
int Expect(const absl::Status& status, absl::StatusCode code, const std::string& message) {
  if (status.code() == code && absl::StrContains(status.message(), message)) return 0;
  FACET_LOG(Error) << "got " << status.ToString() << ", want " << absl::StatusCodeToString(code)
                   << " with: " << message;
  return 1;
}

// Operations until one fails; says ready after some.
absl::Status ReduceUntilError(Collective& c, size_t floats, const Ranks& ranks) {
  std::vector<float> data(floats, 1.0f);
  absl::Status status;
  for (int i = 0; status.ok(); ++i) {
    if (i == 20) ranks.SayReady();
    status = c.AllReduceSum(absl::MakeSpan(data));
  }
  return status;
}

// All ranks at work; then `harm` is done to rank 2; the others have to say what is wanted.
void RunWithHarm(Place& place, size_t floats, size_t chunk_bytes, absl::Duration timeout,
                 const std::function<bool(const absl::Status&)>& wanted,
                 const std::function<void(ChildProcess&)>& harm) {
  Ranks ranks(place, timeout);
  ranks.options().chunk_bytes = chunk_bytes;
  for (int r = 0; r < kWorld; ++r) {
    ranks.Start(r, [&](const auto& c) {
      FACET_CHECK(c.ok()) << c.status().ToString();
      const absl::Status status = ReduceUntilError(**c, floats, ranks);
      if (wanted(status)) return 0;
      FACET_LOG(Error) << "rank " << r << " got " << status.ToString();
      return 1;
    });
  }
  ranks.AwaitReady(kWorld);
  harm(ranks.process(2));
  const auto start = Clock::now();
  EXPECT_EQ(ranks.process(0).Wait(), 0);
  EXPECT_EQ(ranks.process(1).Wait(), 0);
  EXPECT_LE(Clock::now() - start, std::chrono::seconds(10));
}

// Every operation once, against the reference.
bool AllRight(Collective& c, size_t n) {
  const int rank = c.rank();
  const auto same = [](const auto& a, const auto& b) {
    return a.size() == b.size() &&
           (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0);
  };
  std::vector<float> sum = TestFloats(1, rank, n);
  std::vector<float> part(n);
  std::vector<uint8_t> all(n * kWorld), turned(n * kWorld), spread = TestBytes(2, rank, n);
  absl::Status status = c.AllReduceSum(absl::MakeSpan(sum));
  status.Update(c.ReduceScatterSum(TestFloats(3, rank, n * kWorld), absl::MakeSpan(part)));
  status.Update(c.AllGather(TestBytes(4, rank, n), absl::MakeSpan(all)));
  status.Update(c.AllToAll(TestBytes(5, rank, n * kWorld), absl::MakeSpan(turned)));
  status.Update(c.Broadcast(absl::MakeSpan(spread), 1));
  status.Update(c.Barrier());
  FACET_CHECK(status.ok()) << status.ToString();
  std::vector<uint8_t> want_all, want_turned;
  for (int r = 0; r < kWorld; ++r) {
    for (size_t i = 0; i < n; ++i) {
      want_all.push_back(TestByte(4, r, i));
      want_turned.push_back(TestByte(5, r, static_cast<size_t>(rank) * n + i));
    }
  }
  return same(sum, ReferenceSum(1, kWorld, 0, n)) &&
         same(part, ReferenceSum(3, kWorld, static_cast<size_t>(rank) * n, n)) &&
         same(all, want_all) && same(turned, want_turned) && same(spread, TestBytes(2, 1, n));
}

}  // namespace

TEST_P(GlooProcessTest, AllOperationsEqualTheReferenceBitForBit) {
  MAKE_PLACE_OR_SKIP(place);
  Ranks ranks(*place, absl::Seconds(30));
  for (int r = 0; r < kWorld; ++r) {
    ranks.Start(r, [](const auto& c) {
      FACET_CHECK(c.ok()) << c.status().ToString();
      for (const size_t n : {0, 1, 7, 1000, 8195, 300000, 5}) {
        if (!AllRight(**c, n)) return 1;
      }
      return 0;
    });
  }
  for (size_t r = 0; r < kWorld; ++r) EXPECT_EQ(ranks.process(r).Wait(), 0) << "rank " << r;
}

TEST_P(GlooProcessTest, AKilledPeerIsNamedLongBeforeTheTimeout) {
  MAKE_PLACE_OR_SKIP(place);
  const auto wanted = [](const absl::Status& status) {
    return absl::IsUnavailable(status) && absl::StrContains(status.message(), "rank 2 died");
  };
  for (const size_t floats : {100, 30000}) {
    RunWithHarm(*place, floats, kChunkBytes, absl::Seconds(60), wanted,
                [](ChildProcess& rank2) { rank2.Signal(SIGKILL); });
  }
}

TEST_P(GlooProcessTest, APeerThatIsKilledWithinAMessageIsNamedLongBeforeTheTimeout) {
  MAKE_PLACE_OR_SKIP(place);
  const auto wanted = [](const absl::Status& status) {
    return absl::IsUnavailable(status) && absl::StrContains(status.message(), "rank 2 died");
  };
  // Of 4 MB, so that sending them is most of what the ranks do.
  for (int round = 0; round < 3; ++round) {
    RunWithHarm(*place, 3000000, size_t{8} << 20, absl::Seconds(60), wanted,
                [](ChildProcess& rank2) { rank2.Signal(SIGKILL); });
  }
}

TEST_P(GlooProcessTest, AStoppedPeerIsNamedAfterTheTimeout) {
  MAKE_PLACE_OR_SKIP(place);
  for (const size_t floats : {100, 1000000}) {
    RunWithHarm(*place, floats, kChunkBytes, absl::Seconds(1), TimedOutOnRank2,
                [](ChildProcess& rank2) { rank2.Signal(SIGSTOP); });
  }
}

TEST_P(GlooProcessTest, ARankThatLosesTheNetworkIsNamedAfterTheTimeout) {
  MAKE_PLACE_OR_SKIP(place);
  RunWithHarm(*place, 30000, kChunkBytes, absl::Seconds(1), TimedOutOnRank2,
              [&](ChildProcess& rank2) {
                if (absl::IsUnimplemented(place->Unplug(2))) rank2.Signal(SIGSTOP);
              });
}

TEST_P(GlooProcessTest, ASocketThatThePeerClosedCannotEndTheProcess) {
  MAKE_PLACE_OR_SKIP(place);
  Ranks ranks(*place, absl::Seconds(30));
  ranks.options().world_size = 2;
  const auto handler_after = [](const auto& c, void (*handler)(int)) {
    FACET_CHECK(c.ok()) << c.status().ToString();
    return signal(SIGPIPE, SIG_DFL) == handler ? 0 : 1;
  };
  // The default becomes "ignore"; what the process has chosen itself stays.
  static void (*const own)(int) = [](int) {};
  signal(SIGPIPE, SIG_DFL);
  ranks.Start(0, [&](const auto& c) { return handler_after(c, SIG_IGN); });
  signal(SIGPIPE, own);
  ranks.Start(1, [&](const auto& c) { return handler_after(c, own); });
  signal(SIGPIPE, SIG_DFL);
  EXPECT_EQ(ranks.process(0).Wait(), 0);
  EXPECT_EQ(ranks.process(1).Wait(), 0);
}

TEST_P(GlooProcessTest, ARankThatNeverComesIsNamedWhenTheGroupStarts) {
  MAKE_PLACE_OR_SKIP(place);
  Ranks ranks(*place, absl::Seconds(30));
  ranks.options().connect_timeout = absl::Milliseconds(500);
  for (const int r : {0, 2}) {
    ranks.Start(r, [&](const auto& c) {
      return Expect(c.status(), absl::StatusCode::kDeadlineExceeded,
                    "rank 1 did not leave an address");
    });
  }
  EXPECT_EQ(ranks.process(0).Wait(), 0);
  EXPECT_EQ(ranks.process(1).Wait(), 0);
}

TEST_P(GlooProcessTest, APeerThatDiesBeforeItConnectsIsNamed) {
  MAKE_PLACE_OR_SKIP(place);
  Ranks ranks(*place, absl::Seconds(30));
  ranks.options().connect_timeout = absl::Seconds(1);
  ranks.options().world_size = 2;
  // Leaves an address where nobody listens any more.
  ranks.Start(
      1, [](const auto&) { return 0; }, /*die_after_set=*/true);
  EXPECT_EQ(ranks.process(0).Wait(), -SIGKILL);
  ranks.Start(0, [&](const auto& c) {
    // At once if this rank is the one that calls, after the timeout if it waits for a call.
    const bool noticed = absl::IsUnavailable(c.status()) || absl::IsDeadlineExceeded(c.status());
    return noticed ? Expect(c.status(), c.status().code(), "rank 1") : 1;
  });
  EXPECT_EQ(ranks.process(1).Wait(), 0);
}

}  // namespace facet
