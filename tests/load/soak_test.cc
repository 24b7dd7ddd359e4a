// Real processes under a mixed load: callers of every kind ask a fixed set of requests again and
// again, some go away, some have no time, some ask nonsense, some read slowly. Every answer must be
// what the same request gives alone, on a cluster that caches nothing; in the end nothing is left.
//
//   soak_test [--seconds=120] [--callers=16] [--requests=120] [--tp=2] [--seed=1]

#include <atomic>
#include <iostream>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/e2e/local_cluster.h"
#include "tests/load/soak_answer.h"
#include "tests/load/soak_requests.h"

ABSL_FLAG(int, seconds, 120, "How long the load lasts.");
ABSL_FLAG(int, callers, 16, "Callers at the same time.");
ABSL_FLAG(int, requests, 120, "Different good requests.");
ABSL_FLAG(int, tp, 2, "Ranks of the shard group.");
ABSL_FLAG(int, seed, 1, "Of the requests and of what callers do.");
ABSL_FLAG(std::string, model, "tests/golden/demo", "Folder of the checkpoint.");

namespace facet::testing {
namespace {

constexpr SoakLimits kLimits = {.vocab_size = 512, .max_prompt = 180, .max_tokens = 96};
constexpr absl::Duration kSettle = absl::Seconds(10);

ClusterOptions Options(std::vector<std::string> shard_flags) {
  ClusterOptions options;
  options.model = absl::GetFlag(FLAGS_model);
  options.tensor_parallel = absl::GetFlag(FLAGS_tp);
  options.shard_flags = std::move(shard_flags);
  options.shard_flags.push_back("--page_tokens=4");
  options.shard_flags.push_back("--max_context=320");
  return options;
}

// What all callers saw.
struct Tally {
  std::mutex mutex;
  std::map<std::string, int> outcomes;
  std::vector<std::string> faults;

  void Count(const std::string& outcome) {
    std::lock_guard<std::mutex> lock(mutex);
    ++outcomes[outcome];
  }
  void Fault(const std::string& fault) {
    std::lock_guard<std::mutex> lock(mutex);
    if (faults.size() < 20) faults.push_back(fault);
  }
};

class SoakTest : public ::testing::Test {
 protected:
  // The load runs once; each test looks at one of its sides.
  static void SetUpTestSuite() {
    requests_ = MakeSoakRequests(absl::GetFlag(FLAGS_requests), kLimits,
                                 static_cast<uint32_t>(absl::GetFlag(FLAGS_seed)));
    bad_ = MakeBadRequests(kLimits);
    AskAlone();
    if (HasFatalFailure()) return;
    // Pages for a few requests only, so that the cache is overrun and requests are preempted.
    auto started = LocalCluster::Start(Options(
        {"--kv_cache_bytes=64000", "--max_running=12", "--max_queue=6", "--max_step_tokens=32"}));
    ASSERT_THAT(started, IsOk());
    cluster_ = *std::move(started);
    Load();
  }
  static void TearDownTestSuite() { cluster_.reset(); }

  static void AskAlone() {
    const auto cluster = LocalCluster::Start(Options({"--prefix_cache=false"}));
    ASSERT_THAT(cluster, IsOk());
    const auto stub = v1::Generation::NewStub((*cluster)->channel());
    for (const v1::GenerateRequest& request : requests_) {
      alone_.push_back(Ask(*stub, request, {}));
      ASSERT_TRUE(alone_.back().status.ok()) << alone_.back().status.error_message() << "\n"
                                             << request.ShortDebugString();
      ASSERT_EQ(alone_.back().fault, "");
      ASSERT_EQ(alone_.back().cached_tokens, 0);
    }
  }

  static void Load() {
    const absl::Time begin = absl::Now();
    const absl::Time end = begin + absl::Seconds(absl::GetFlag(FLAGS_seconds));
    std::vector<std::thread> callers;
    for (int i = 0; i < absl::GetFlag(FLAGS_callers); ++i) {
      callers.emplace_back([i, end] { BeCaller(i, end); });
    }
    absl::SleepFor((end - begin) / 3);
    memory_early_ = Memory();
    for (std::thread& caller : callers) caller.join();
    memory_late_ = Memory();
    for (const auto& [outcome, count] : tally_.outcomes) {
      std::cout << outcome << ": " << count << "\n";
    }
  }

  static void BeCaller(int number, absl::Time end) {
    std::mt19937 rng(static_cast<uint32_t>(absl::GetFlag(FLAGS_seed) * 1000 + number));
    const auto stub = v1::Generation::NewStub(cluster_->channel());
    while (absl::Now() < end) {
      switch (std::uniform_int_distribution<>(0, 19)(rng)) {
        case 0:
          AskBadly(*stub, bad_[rng() % bad_.size()]);
          break;
        case 1:
        case 2:
        case 3:
          AskAndLeave(*stub, rng() % requests_.size(), static_cast<int>(rng() % 12));
          break;
        case 4:
        case 5:
          AskInAHurry(*stub, rng() % requests_.size(), absl::Milliseconds(1 + rng() % 200));
          break;
        case 6:
          AskAll(*stub, rng() % requests_.size(), {.pause = absl::Milliseconds(rng() % 20)});
          break;
        default:
          AskAll(*stub, rng() % requests_.size(), {});
      }
    }
  }

  static void AskAll(v1::Generation::Stub& stub, size_t which, const SoakManners& manners) {
    const SoakAnswer answer = Ask(stub, requests_[which], manners);
    if (IsRefusal(answer)) return;
    tally_.Count(answer.status.ok() ? "whole answers" : "failed");
    cached_tokens_ += answer.cached_tokens;
    if (!answer.status.ok()) return Report(which, answer.status.error_message());
    Report(which, answer.fault);
    Report(which, Difference(answer, alone_[which]));
  }

  static void AskAndLeave(v1::Generation::Stub& stub, size_t which, int messages) {
    const SoakAnswer answer = Ask(stub, requests_[which], {.cancel_after = messages});
    if (IsRefusal(answer)) return;
    CheckPart(which, answer, grpc::StatusCode::CANCELLED);
  }

  static void AskInAHurry(v1::Generation::Stub& stub, size_t which, absl::Duration timeout) {
    const SoakAnswer answer = Ask(stub, requests_[which], {.timeout = timeout});
    if (IsRefusal(answer)) return;
    CheckPart(which, answer, grpc::StatusCode::DEADLINE_EXCEEDED);
  }

  static void CheckPart(size_t which, const SoakAnswer& answer, grpc::StatusCode expected) {
    Report(which, answer.fault);
    if (answer.status.ok()) {
      tally_.Count("whole answers");
      return Report(which, Difference(answer, alone_[which]));
    }
    tally_.Count(expected == grpc::StatusCode::CANCELLED ? "cancelled" : "past their deadline");
    if (answer.status.error_code() != expected) Report(which, answer.status.error_message());
    Report(which, DifferenceSoFar(answer, alone_[which]));
  }

  static void AskBadly(v1::Generation::Stub& stub, const BadRequest& bad) {
    const SoakAnswer answer = Ask(stub, bad.request, {});
    if (IsRefusal(answer)) return;
    tally_.Count("bad requests");
    if (answer.status.error_code() != grpc::StatusCode::INVALID_ARGUMENT ||
        !absl::StrContains(answer.status.error_message(), bad.field)) {
      tally_.Fault(absl::StrCat("a bad ", bad.field, ": ", answer.status.error_code(), " ",
                                answer.status.error_message()));
    }
  }

  // A full queue, said in due form. The caller comes again a little later.
  static bool IsRefusal(const SoakAnswer& answer) {
    if (answer.status.error_code() != grpc::StatusCode::RESOURCE_EXHAUSTED) return false;
    tally_.Count("refused, queue full");
    if (!answer.has_retry_after) tally_.Fault("a refusal without retry-after-ms");
    absl::SleepFor(absl::Milliseconds(20));
    return true;
  }

  static void Report(size_t which, const std::string& fault) {
    if (fault.empty()) return;
    tally_.Fault(
        absl::StrCat("request ", which, ": ", fault, "\n  ", requests_[which].ShortDebugString()));
  }

  // Resident bytes of each process.
  static std::map<std::string, double> Memory() {
    std::map<std::string, double> memory;
    const auto of = [](const ServerPorts& ports) {
      return LocalCluster::Metric(ports, "process_resident_memory_bytes");
    };
    memory["router"] = of(cluster_->router_ports());
    for (int rank = 0; rank < absl::GetFlag(FLAGS_tp); ++rank) {
      memory[absl::StrCat("rank ", rank)] = of(cluster_->rank_ports(0, rank));
    }
    return memory;
  }

  static std::vector<v1::GenerateRequest> requests_;
  static std::vector<BadRequest> bad_;
  static std::vector<SoakAnswer> alone_;
  static std::unique_ptr<LocalCluster> cluster_;
  static Tally tally_;
  static std::atomic<int64_t> cached_tokens_;
  static std::map<std::string, double> memory_early_;
  static std::map<std::string, double> memory_late_;
};

std::vector<v1::GenerateRequest> SoakTest::requests_;
std::vector<BadRequest> SoakTest::bad_;
std::vector<SoakAnswer> SoakTest::alone_;
std::unique_ptr<LocalCluster> SoakTest::cluster_;
Tally SoakTest::tally_;
std::atomic<int64_t> SoakTest::cached_tokens_ = 0;
std::map<std::string, double> SoakTest::memory_early_;
std::map<std::string, double> SoakTest::memory_late_;

TEST_F(SoakTest, EveryAnswerIsThatOfTheSameRequestAlone) {
  for (const std::string& fault : tally_.faults) ADD_FAILURE() << fault;
  EXPECT_EQ(tally_.outcomes["failed"], 0);
}

TEST_F(SoakTest, TheLoadWasWorthTheName) {
  for (const char* outcome : {"whole answers", "cancelled", "past their deadline", "bad requests",
                              "refused, queue full"}) {
    EXPECT_GE(tally_.outcomes[outcome], absl::GetFlag(FLAGS_seconds) / 10) << outcome;
  }
  EXPECT_GT(cached_tokens_, 0);
  EXPECT_GT(LocalCluster::Metric(cluster_->rank_ports(0, 0), "facet_preemptions_total"), 0);
}

TEST_F(SoakTest, EveryGaugeIsZeroAtTheEnd) {
  const std::vector<std::pair<const ServerPorts*, std::string>> gauges = {
      {&cluster_->router_ports(), "facet_router_requests_in_flight"},
      {&cluster_->router_ports(), "facet_router_requests_waiting_for_group"},
      {&cluster_->rank_ports(0, 0), "facet_requests_running"},
      {&cluster_->rank_ports(0, 0), "facet_requests_waiting"},
      {&cluster_->rank_ports(0, 0), "facet_kv_pages_used{pool=\"global\"}"},
      {&cluster_->rank_ports(0, 0), "facet_kv_pages_used{pool=\"sliding\"}"},
  };
  for (const auto& [ports, gauge] : gauges) {
    const absl::Time limit = absl::Now() + kSettle;
    double value = -1;
    while ((value = LocalCluster::Metric(*ports, gauge)) != 0 && absl::Now() < limit) {
      absl::SleepFor(absl::Milliseconds(20));
    }
    EXPECT_EQ(value, 0) << gauge;
  }
}

TEST_F(SoakTest, MemoryIsFlat) {
  for (const auto& [process, early] : memory_early_) {
    ASSERT_GT(early, 0) << process;
    std::cout << process << ": " << early / 1e6 << " MB after a third, "
              << memory_late_[process] / 1e6 << " MB at the end\n";
    EXPECT_LT(memory_late_[process], early * 1.1 + 8e6) << process;
  }
}

}  // namespace
}  // namespace facet::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  absl::ParseCommandLine(argc, argv);
  return RUN_ALL_TESTS();
}
