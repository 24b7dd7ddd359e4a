// Real processes serve a golden checkpoint: the tokens are those that the reference computes.
// argv[1]: folder of the checkpoint; argv[2]: "experts" to split experts whole over the ranks too.

#include <iostream>
#include <string>
#include <thread>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/e2e/generate_client.h"
#include "tests/e2e/local_cluster.h"
#include "tests/golden/golden_model.h"

namespace facet::testing {
namespace {

std::string model_dir;
bool has_experts = false;

struct Shape {
  std::string name;
  int tensor_parallel;
  bool expert_parallel;
};
class GoldenClusterTest : public ::testing::TestWithParam<Shape> {};

TEST_P(GoldenClusterTest, GreedyTokensAreThoseOfTheReference) {
  if (GetParam().expert_parallel && !has_experts) GTEST_SKIP() << "this model has no experts";
  const absl::StatusOr<GoldenModel> golden = LoadGoldenModel(model_dir);
  ASSERT_THAT(golden, IsOk());
  ClusterOptions options;
  options.model = model_dir;
  options.tensor_parallel = GetParam().tensor_parallel;
  options.expert_parallel = GetParam().expert_parallel;
  const auto cluster = LocalCluster::Start(options);
  ASSERT_THAT(cluster, IsOk());

  std::vector<Answer> answers(golden->prompts.size());
  std::vector<std::thread> callers;
  for (size_t i = 0; i < answers.size(); ++i) {
    callers.emplace_back([&, i] {
      const GoldenPrompt& prompt = golden->prompts[i];
      answers[i] = Generate((*cluster)->channel(),
                            GreedyRequest(prompt.ids, static_cast<int>(prompt.greedy.size())));
    });
  }
  for (std::thread& caller : callers) caller.join();
  ASSERT_GE(answers.size(), 3u);
  for (size_t i = 0; i < answers.size(); ++i) {
    ASSERT_TRUE(answers[i].status.ok()) << answers[i].status.error_message();
    EXPECT_EQ(answers[i].token_ids, golden->prompts[i].greedy) << "prompt " << i;
    EXPECT_EQ(answers[i].end.finish_reason(), v1::LENGTH);
    EXPECT_EQ(answers[i].start.prompt_tokens(), static_cast<int>(golden->prompts[i].ids.size()));
    EXPECT_EQ(answers[i].text, "");  // it has no tokenizer
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, GoldenClusterTest,
                         ::testing::ValuesIn(std::vector<Shape>{
                             {"one_rank", 1, false},
                             {"two_ranks", 2, false},
                             {"two_ranks_whole_experts", 2, true},
                         }),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace facet::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc < 2) {
    std::cerr << "usage: golden_cluster_test CHECKPOINT_DIR [experts]\n";
    return 2;
  }
  facet::testing::model_dir = argv[1];
  facet::testing::has_experts = argc > 2 && std::string(argv[2]) == "experts";
  return RUN_ALL_TESTS();
}
