// The same request has the same answer, bit by bit, whatever the load: alone and in a batch, with
// prompts cut into chunks of any size, with a cold and a warm prefix cache, with and without
// preemption. Real processes.
//
//   determinism_test CHECKPOINT_DIR VOCAB_SIZE SMALL_KV_BYTES [experts]
//
// SMALL_KV_BYTES: KV cache for little more than one request of full length.

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/e2e/local_cluster.h"
#include "tests/load/soak_answer.h"
#include "tests/load/soak_requests.h"

namespace facet::testing {
namespace {

std::string model_dir;
int vocab_size = 0;
std::string small_kv_bytes;
bool has_experts = false;

std::vector<v1::GenerateRequest> Requests() {
  const SoakLimits limits = {
      .vocab_size = vocab_size, .max_prompt = 120, .max_tokens = 64, .stop_strings = false};
  std::vector<v1::GenerateRequest> requests = MakeSoakRequests(40, limits, /*seed=*/7);
  for (v1::GenerateRequest& request : requests) request.set_logprobs(3);
  return requests;
}

struct Setting {
  std::string name;
  std::vector<std::string> flags;
  int tensor_parallel = 1;
  bool expert_parallel = false;
  int callers = 1;
  int rounds = 1;  // how often each request is asked
};

absl::StatusOr<std::unique_ptr<LocalCluster>> StartCluster(const Setting& setting) {
  ClusterOptions options;
  options.model = model_dir;
  options.tensor_parallel = setting.tensor_parallel;
  options.expert_parallel = setting.expert_parallel;
  options.shard_flags = setting.flags;
  options.shard_flags.push_back("--page_tokens=4");
  options.shard_flags.push_back("--max_context=256");
  return LocalCluster::Start(options);
}

// The answers to each of the requests, of the last round.
std::vector<SoakAnswer> AskEach(const std::vector<v1::GenerateRequest>& requests,
                                const LocalCluster& cluster, const Setting& setting) {
  std::vector<SoakAnswer> answers(requests.size());
  for (int round = 0; round < setting.rounds; ++round) {
    std::atomic<size_t> next{0};
    std::vector<std::thread> callers;
    for (int i = 0; i < setting.callers; ++i) {
      callers.emplace_back([&] {
        const auto stub = v1::Generation::NewStub(cluster.channel());
        for (size_t r = next++; r < requests.size(); r = next++) {
          answers[r] = Ask(*stub, requests[r], {});
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
  }
  return answers;
}

std::vector<SoakAnswer> AskAll(const LocalCluster& cluster, const Setting& setting) {
  return AskEach(Requests(), cluster, setting);
}

const Setting kAlone = {"alone", {"--prefix_cache=false"}};

class DeterminismTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const auto cluster = StartCluster(kAlone);
    ASSERT_THAT(cluster, IsOk());
    alone_ = AskAll(**cluster, kAlone);
    for (const SoakAnswer& answer : alone_) {
      ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
      ASSERT_EQ(answer.fault, "");
    }
  }

  static void ExpectEqual(const std::vector<SoakAnswer>& answers,
                          const std::vector<SoakAnswer>& expected) {
    for (size_t i = 0; i < answers.size(); ++i) {
      ASSERT_TRUE(answers[i].status.ok()) << answers[i].status.error_message();
      EXPECT_EQ(Difference(answers[i], expected[i]), "") << "request " << i;
    }
  }

  static std::vector<SoakAnswer> alone_;
};

std::vector<SoakAnswer> DeterminismTest::alone_;

class OneRankTest : public DeterminismTest, public ::testing::WithParamInterface<Setting> {};

TEST_P(OneRankTest, AnswersAreBitwiseThoseOfTheRequestAlone) {
  const auto cluster = StartCluster(GetParam());
  ASSERT_THAT(cluster, IsOk());
  ExpectEqual(AskAll(**cluster, GetParam()), alone_);
}

INSTANTIATE_TEST_SUITE_P(
    Settings, OneRankTest,
    ::testing::ValuesIn(std::vector<Setting>{
        {"batch_of_8", {"--max_running=8"}, 1, false, 8},
        {"batch_of_32", {"--max_running=32"}, 1, false, 32},
        {"chunks_of_1", {"--max_step_tokens=1", "--max_running=1"}, 1, false, 4},
        {"chunks_of_7", {"--max_step_tokens=7", "--max_running=7"}, 1, false, 4},
        {"chunks_of_64", {"--max_step_tokens=64"}, 1, false, 4},
        {"two_threads", {"--threads=2"}, 1, false, 8},
    }),
    [](const auto& info) { return info.param.name; });

TEST_F(DeterminismTest, AWarmPrefixChangesNothing) {
  const Setting setting = {"warm", {}, 1, false, 1, 2};
  const auto cluster = StartCluster(setting);
  ASSERT_THAT(cluster, IsOk());
  const std::vector<SoakAnswer> answers = AskAll(**cluster, setting);
  ExpectEqual(answers, alone_);
  int hits = 0;
  for (const SoakAnswer& answer : answers) hits += answer.cached_tokens > 0;
  EXPECT_GT(hits, static_cast<int>(answers.size()) / 2);
}

// Many windows long, so that most of the shared sliding pages are given back while both run.
TEST_F(DeterminismTest, TwoThatShareALongPrefixAndRunTogetherAreEachTheirOwn) {
  std::vector<v1::GenerateRequest> requests(2);
  for (int i = 0; i < 2; ++i) {
    auto* ids = requests[i].mutable_prompt()->mutable_token_ids();
    for (int t = 0; t < 100; ++t) ids->add_ids(4 + t * 7 % (vocab_size - 4));
    ids->add_ids(20 + i);
    requests[i].mutable_sampling()->set_temperature(0);
    requests[i].mutable_stopping()->set_max_tokens(150);
    requests[i].mutable_stopping()->set_ignore_eos(true);
    requests[i].set_logprobs(2);
  }
  const auto apart = StartCluster(kAlone);
  ASSERT_THAT(apart, IsOk());
  const std::vector<SoakAnswer> expected = AskEach(requests, **apart, kAlone);
  const Setting together = {"together", {}, 1, false, 2, 3};
  const auto cluster = StartCluster(together);
  ASSERT_THAT(cluster, IsOk());
  const std::vector<SoakAnswer> answers = AskEach(requests, **cluster, together);
  ExpectEqual(answers, expected);
  for (const SoakAnswer& answer : answers) EXPECT_EQ(answer.cached_tokens, 100);
  EXPECT_NE(Difference(answers[0], answers[1]), "");
}

TEST_F(DeterminismTest, PreemptionChangesNothing) {
  const Setting setting = {
      "preempted",
      {"--kv_cache_bytes=" + small_kv_bytes, "--max_running=16", "--max_step_tokens=16"},
      1,
      false,
      16};
  const auto cluster = StartCluster(setting);
  ASSERT_THAT(cluster, IsOk());
  ExpectEqual(AskAll(**cluster, setting), alone_);
  EXPECT_GT(LocalCluster::Metric((*cluster)->rank_ports(0, 0), "facet_preemptions_total"), 0);
}

class RanksTest : public DeterminismTest, public ::testing::WithParamInterface<Setting> {};

TEST_P(RanksTest, TokensAreThoseOfOneRankAndRepeatsAreBitwiseEqual) {
  if (GetParam().expert_parallel && !has_experts) GTEST_SKIP() << "this model has no experts";
  const auto cluster = StartCluster(GetParam());
  ASSERT_THAT(cluster, IsOk());
  Setting one_by_one = GetParam();
  one_by_one.callers = 1;
  const std::vector<SoakAnswer> first = AskAll(**cluster, one_by_one);
  for (size_t i = 0; i < first.size(); ++i) {
    ASSERT_TRUE(first[i].status.ok()) << first[i].status.error_message();
    for (size_t c = 0; c < first[i].completions.size(); ++c) {
      EXPECT_EQ(first[i].completions[c].token_ids, alone_[i].completions[c].token_ids)
          << "request " << i << ", completion " << c;
    }
  }
  ExpectEqual(AskAll(**cluster, GetParam()), first);
}

INSTANTIATE_TEST_SUITE_P(Settings, RanksTest,
                         ::testing::ValuesIn(std::vector<Setting>{
                             {"two_ranks", {}, 2, false, 8},
                             {"four_ranks", {}, 4, false, 8},
                             {"two_ranks_whole_experts", {}, 2, true, 8},
                         }),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace facet::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc < 4) {
    std::cerr << "usage: determinism_test CHECKPOINT_DIR VOCAB_SIZE SMALL_KV_BYTES [experts]\n";
    return 2;
  }
  facet::testing::model_dir = argv[1];
  facet::testing::vocab_size = std::atoi(argv[2]);
  facet::testing::small_kv_bytes = argv[3];
  facet::testing::has_experts = argc > 4 && std::string(argv[4]) == "experts";
  return RUN_ALL_TESTS();
}
