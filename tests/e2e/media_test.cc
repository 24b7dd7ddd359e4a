// Real processes with encoders serve golden checkpoints with media: the tokens are those that the
// reference computes from the same files.

#include <signal.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/e2e/generate_client.h"
#include "tests/e2e/local_cluster.h"
#include "tests/testing/files.h"

namespace facet::testing {
namespace {

using ::testing::HasSubstr;

std::string Folder(const std::string& variant) { return "tests/golden/media/" + variant; }

nlohmann::json Prompts(const std::string& variant) {
  return nlohmann::json::parse(ReadAll(Folder(variant) + "/expected.json"))["prompts"];
}

// The prompt with one placeholder a medium and the files, as a caller sends them.
v1::GenerateRequest RequestOf(const std::string& variant, const nlohmann::json& prompt) {
  v1::GenerateRequest request = GreedyRequest(prompt["prompt"].get<std::vector<int32_t>>(),
                                              static_cast<int>(prompt["greedy"].size()));
  for (const auto& medium : prompt["media"]) {
    v1::Media& media = *request.add_media();
    const std::string bytes =
        ReadAll(absl::StrCat(Folder(variant), "/media/", medium["file"].get<std::string>()));
    const std::string kind = medium["kind"];
    if (kind == "video") {
      media.set_kind(v1::Media::VIDEO);
      media.mutable_frames()->add_images(bytes);
      media.mutable_frames()->add_timestamp_seconds(0);
    } else {
      media.set_kind(kind == "image" ? v1::Media::IMAGE : v1::Media::AUDIO);
      media.set_data(bytes);
    }
  }
  return request;
}

std::unique_ptr<LocalCluster> StartCluster(const std::string& variant, int tensor_parallel = 1) {
  ClusterOptions options;
  options.model = Folder(variant);
  options.tensor_parallel = tensor_parallel;
  options.encoders = {"vision"};
  if (variant == "ple") options.encoders.push_back("audio");
  auto cluster = LocalCluster::Start(options);
  EXPECT_THAT(cluster, IsOk());
  return cluster.ok() ? *std::move(cluster) : nullptr;
}

struct Shape {
  std::string variant;
  int tensor_parallel;
};
class MediaClusterTest : public ::testing::TestWithParam<Shape> {};

TEST_P(MediaClusterTest, GreedyTokensAreThoseOfTheReference) {
  const auto [variant, tensor_parallel] = GetParam();
  const auto cluster = StartCluster(variant, tensor_parallel);
  ASSERT_NE(cluster, nullptr);
  const nlohmann::json prompts = Prompts(variant);
  ASSERT_GE(prompts.size(), 3u);
  for (const bool again : {false, true}) {
    for (const auto& [name, prompt] : prompts.items()) {
      const Answer answer = Generate(cluster->channel(), RequestOf(variant, prompt));
      ASSERT_TRUE(answer.status.ok()) << name << ": " << answer.status.error_message();
      EXPECT_EQ(answer.token_ids, prompt["greedy"].get<std::vector<int32_t>>()) << name;
      EXPECT_EQ(answer.start.prompt_tokens(), static_cast<int>(prompt["ids"].size())) << name;
      ASSERT_EQ(answer.start.media_size(), static_cast<int>(prompt["media"].size()));
      for (int i = 0; i < answer.start.media_size(); ++i) {
        EXPECT_EQ(answer.start.media(i).soft_tokens(), prompt["media"][i]["soft_tokens"]) << name;
        EXPECT_TRUE(!again || answer.start.media(i).cached()) << name;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, MediaClusterTest,
                         ::testing::ValuesIn(std::vector<Shape>{
                             {"ple", 1}, {"ple", 2}, {"dense", 1}, {"dense", 2}}),
                         [](const auto& info) {
                           return absl::StrCat(info.param.variant, "_on_",
                                               info.param.tensor_parallel);
                         });

TEST(MediaClusterFaults, OneCorruptImageFailsAlone) {
  const auto cluster = StartCluster("ple");
  ASSERT_NE(cluster, nullptr);
  const nlohmann::json prompt = Prompts("ple")["image"];
  constexpr size_t kCallers = 9, kCorrupt = 4;
  std::vector<Answer> answers(kCallers);
  std::vector<std::thread> callers;
  for (size_t i = 0; i < kCallers; ++i) {
    callers.emplace_back([&, i] {
      v1::GenerateRequest request = RequestOf("ple", prompt);
      if (i == kCorrupt) request.mutable_media(0)->mutable_data()->resize(100);
      answers[i] = Generate(cluster->channel(), request);
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (size_t i = 0; i < kCallers; ++i) {
    if (i == kCorrupt) {
      EXPECT_EQ(answers[i].status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
      EXPECT_THAT(answers[i].status.error_message(), HasSubstr("media[0]: "));
      continue;
    }
    ASSERT_TRUE(answers[i].status.ok()) << answers[i].status.error_message();
    EXPECT_EQ(answers[i].token_ids, prompt["greedy"].get<std::vector<int32_t>>());
  }
}

TEST(MediaClusterFaults, WithoutItsEncoderAKindIsUnavailableAndTheOthersGoOn) {
  const auto cluster = StartCluster("ple");
  ASSERT_NE(cluster, nullptr);
  cluster->encoder(0).Signal(SIGKILL);
  ASSERT_THAT(cluster->encoder(0).WaitForExit(absl::Seconds(10)), IsOk());
  const nlohmann::json prompts = Prompts("ple");
  const Answer image = Generate(cluster->channel(), RequestOf("ple", prompts["image"]));
  EXPECT_EQ(image.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(image.status.error_message(),
              HasSubstr("vision encoder at " + cluster->encoder_ports(0).grpc_address()));
  const Answer audio = Generate(cluster->channel(), RequestOf("ple", prompts["audio"]));
  EXPECT_TRUE(audio.status.ok()) << audio.status.error_message();
  EXPECT_TRUE(Generate(cluster->channel(), GreedyRequest({2, 5, 9}, 4)).status.ok());
}

TEST(MediaClusterFaults, MediaAndPlaceholdersThatDoNotMatchAreRefused) {
  const auto cluster = StartCluster("dense");
  ASSERT_NE(cluster, nullptr);
  v1::GenerateRequest request = RequestOf("dense", Prompts("dense")["images"]);
  request.mutable_media()->RemoveLast();
  const Answer fewer = Generate(cluster->channel(), request);
  EXPECT_EQ(fewer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(fewer.status.error_message(), HasSubstr("2 placeholders of IMAGE"));
  request.mutable_media(0)->set_kind(v1::Media::AUDIO);
  const Answer audio = Generate(cluster->channel(), request);
  EXPECT_EQ(audio.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(audio.status.error_message(), HasSubstr("takes images, video"));
}

TEST(MediaClusterFaults, TheClientSendsFiles) {
  const auto cluster = StartCluster("ple");
  ASSERT_NE(cluster, nullptr);
  const nlohmann::json prompt = Prompts("ple")["mixed"];
  const std::string media = Folder("ple") + "/media/";
  const std::string out = MakeTestDir() + "/out";
  auto client =
      ChildProcess::Start({{"/bin/sh",
                            "-c",
                            "exec \"$@\" >\"$OUT\"",
                            "sh",
                            BinaryPath("services/client/facet_client"),
                            "generate",
                            "--router",
                            cluster->router_address(),
                            "--prompt-ids",
                            absl::StrJoin(prompt["prompt"].get<std::vector<int32_t>>(), ","),
                            "--audio",
                            media + "audio1.wav",
                            "--image",
                            media + "image1.png",
                            "--max-tokens",
                            "8",
                            "--temperature",
                            "0",
                            "--ignore-eos",
                            "--json"},
                           {absl::StrCat("OUT=", out)}});
  ASSERT_THAT(client, IsOk());
  EXPECT_EQ((*client)->WaitForExit(absl::Seconds(40)).value_or(-1), 0);
  const auto answer = nlohmann::json::parse(ReadAll(out), nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(answer.is_object());
  EXPECT_EQ(answer["token_ids"], prompt["greedy"]);
  EXPECT_EQ(answer["media"][1]["kind"], "AUDIO");
  EXPECT_EQ(answer["media"][1]["soft_tokens"], 10);
}

}  // namespace
}  // namespace facet::testing
