// The command-line client with files: what it makes of them, and its exit statuses.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/e2e/client_run.h"
#include "tests/e2e/local_cluster.h"

namespace facet::testing {
namespace {

using ::testing::HasSubstr;

constexpr char kModel[] = "tests/golden/media/chat";
constexpr char kImage[] = "tests/golden/media/ple/media/image0.png";
constexpr char kOtherImage[] = "tests/golden/media/ple/media/image4.png";
constexpr char kAudio[] = "tests/golden/media/ple/media/audio1.wav";
constexpr char kVideo[] = "tests/golden/media/chat/media/clip.mp4";

using Result = ClientResult;

class MediaClientTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ClusterOptions options;
    options.model = kModel;
    options.encoders = {"vision", "audio"};
    auto cluster = LocalCluster::Start(options);
    ASSERT_THAT(cluster, IsOk());
    cluster_ = cluster->release();
  }
  static void TearDownTestSuite() { std::unique_ptr<LocalCluster> cluster(cluster_); }
  void SetUp() override { ASSERT_NE(cluster_, nullptr); }

  static Result Run(const std::vector<std::string>& arguments) {
    static const std::string& dir = *new std::string(MakeTestDir());
    return RunClient(cluster_->router_address(), dir, arguments);
  }

  static LocalCluster* cluster_;
};
LocalCluster* MediaClientTest::cluster_ = nullptr;

TEST_F(MediaClientTest, ChatTakesSeveralFilesOfEachKind) {
  const Result result =
      Run({"chat", "--image", kImage, "--audio", kAudio, "--video", kVideo, "--image", kOtherImage,
           "--audio", kAudio, "--max-tokens", "4", "--json", "What is all this?"});
  ASSERT_EQ(result.exit_status, 0) << result.err;
  const auto answer = nlohmann::json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(answer.is_object()) << result.out;
  std::vector<std::string> kinds;
  std::vector<int> soft_tokens;
  for (const auto& media : answer["media"]) {
    kinds.push_back(media["kind"]);
    soft_tokens.push_back(media["soft_tokens"]);
  }
  EXPECT_THAT(kinds, ::testing::ElementsAre("IMAGE", "IMAGE", "VIDEO", "AUDIO", "AUDIO"));
  EXPECT_THAT(soft_tokens, ::testing::ElementsAre(60, 56, 462, 10, 10));
  EXPECT_GT(answer["usage"]["prompt_tokens"], 60 + 56 + 462 + 10 + 10);
}

TEST_F(MediaClientTest, RenderShowsWhereTheMediaStand) {
  const Result result = Run({"render", "--image", kImage, "--audio", kAudio, "--video", kVideo,
                             "--image", kOtherImage, "--system", "Be brief.", "What?"});
  ASSERT_EQ(result.exit_status, 0) << result.err;
  EXPECT_EQ(result.out,
            "<bos><|turn>system\nBe brief.<turn|>\n<|turn>user\n"
            "<|image|><|image|><|video|>What?<|audio|><turn|>\n<|turn>model\n");
}

TEST_F(MediaClientTest, ABudgetOfSoftTokensIsThatOfEveryImage) {
  const Result result = Run(
      {"chat", "--image", kImage, "--image-budget", "280", "--max-tokens", "2", "--json", "What?"});
  ASSERT_EQ(result.exit_status, 0) << result.err;
  EXPECT_GT(nlohmann::json::parse(result.out)["media"][0]["soft_tokens"], 200);
}

struct UsageCase {
  std::string name;
  std::vector<std::string> arguments;
  std::string said;
};
void PrintTo(const UsageCase& c, std::ostream* out) { *out << c.name; }
class MediaClientUsageTest : public MediaClientTest,
                             public ::testing::WithParamInterface<UsageCase> {};

TEST_P(MediaClientUsageTest, IsStatusTwo) {
  for (const char* command : {"chat", "render"}) {
    std::vector<std::string> arguments = {command};
    arguments.insert(arguments.end(), GetParam().arguments.begin(), GetParam().arguments.end());
    const Result result = Run(arguments);
    EXPECT_EQ(result.exit_status, 2) << result.err;
    EXPECT_THAT(result.err, HasSubstr(GetParam().said));
    EXPECT_EQ(result.out, "");
  }
}

INSTANTIATE_TEST_SUITE_P(
    Commands, MediaClientUsageTest,
    ::testing::ValuesIn(std::vector<UsageCase>{
        {"no_message", {"--image", kImage}, "message"},
        {"no_such_file", {"--image", "missing.png", "What?"}, "missing.png"},
        {"no_such_clip", {"--audio", "missing.wav", "What?"}, "missing.wav"},
        {"no_value", {"What?", "--video"}, "--video"},
        {"media_with_messages", {"--image", kImage, "--messages", "talk.json"}, "--messages"},
        {"budget_that_is_no_number", {"--image-budget", "many", "What?"}, "image-budget"},
    }),
    [](const auto& info) { return info.param.name; });

TEST_F(MediaClientTest, WhatTheRouterRefusesIsStatusOne) {
  const Result no_image = Run({"chat", "--image", kAudio, "What?"});
  EXPECT_EQ(no_image.exit_status, 1);
  EXPECT_THAT(no_image.err, HasSubstr("INVALID_ARGUMENT"));
  EXPECT_THAT(no_image.err, HasSubstr("messages[0].content[0].media"));
  const Result budget = Run({"chat", "--image", kImage, "--image-budget", "71", "What?"});
  EXPECT_EQ(budget.exit_status, 1);
  EXPECT_THAT(budget.err, HasSubstr("71"));
}

}  // namespace
}  // namespace facet::testing
