// What real processes take of media: how large, from where, and what they count.

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "router/media/testing/http_test_server.h"
#include "services/vision/testing/plain_png.h"
#include "tests/e2e/generate_client.h"
#include "tests/e2e/local_cluster.h"
#include "tests/testing/files.h"

namespace facet::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kPle[] = "tests/golden/media/ple";
constexpr char kDense[] = "tests/golden/media/dense";

std::unique_ptr<LocalCluster> Start(const ClusterOptions& options) {
  auto cluster = LocalCluster::Start(options);
  EXPECT_THAT(cluster, IsOk());
  return cluster.ok() ? *std::move(cluster) : nullptr;
}

nlohmann::json Prompts(const std::string& model) {
  return nlohmann::json::parse(ReadAll(model + "/expected.json"))["prompts"];
}

v1::GenerateRequest RequestOf(const std::string& model, const nlohmann::json& prompt) {
  v1::GenerateRequest request = GreedyRequest(prompt["prompt"].get<std::vector<int32_t>>(),
                                              static_cast<int>(prompt["greedy"].size()));
  for (const auto& medium : prompt["media"]) {
    v1::Media& media = *request.add_media();
    const std::string bytes =
        ReadAll(absl::StrCat(model, "/media/", medium["file"].get<std::string>()));
    if (medium["kind"] == "video") {
      media.set_kind(v1::Media::VIDEO);
      media.mutable_frames()->add_images(bytes);
      media.mutable_frames()->add_timestamp_seconds(0);
    } else {
      media.set_kind(medium["kind"] == "image" ? v1::Media::IMAGE : v1::Media::AUDIO);
      media.set_data(bytes);
    }
  }
  return request;
}

// A prompt of one image among a few tokens.
v1::GenerateRequest ImageRequest(const std::string& model, const std::string& bytes,
                                 int budget = 0) {
  const auto config = nlohmann::json::parse(ReadAll(model + "/config.json"));
  v1::GenerateRequest request =
      GreedyRequest({2, 5, config["image_token_id"].get<int32_t>(), 9}, 2);
  v1::Media& media = *request.add_media();
  media.set_kind(v1::Media::IMAGE);
  media.set_data(bytes);
  media.set_max_soft_tokens(budget);
  return request;
}

grpc::Status Count(const LocalCluster& cluster, const v1::CountTokensRequest& request,
                   v1::CountTokensResponse* response) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(40));
  return v1::Generation::NewStub(cluster.channel())->CountTokens(&context, request, response);
}

v1::CountTokensRequest CountOf(const v1::GenerateRequest& request) {
  v1::CountTokensRequest count;
  *count.mutable_prompt() = request.prompt();
  *count.mutable_media() = request.media();
  return count;
}

TEST(CountTokensTest, IsWhatTheRequestHasAndComputesNothing) {
  ClusterOptions options;
  options.model = kPle;
  options.encoders = {"vision", "audio"};
  const auto cluster = Start(options);
  ASSERT_NE(cluster, nullptr);
  const nlohmann::json prompts = Prompts(kPle);
  ASSERT_GE(prompts.size(), 5u);
  for (const bool known : {false, true}) {
    for (const auto& [name, prompt] : prompts.items()) {
      v1::CountTokensResponse counted;
      const grpc::Status status = Count(*cluster, CountOf(RequestOf(kPle, prompt)), &counted);
      ASSERT_TRUE(status.ok()) << name << ": " << status.error_message();
      EXPECT_EQ(counted.prompt_tokens(), static_cast<int>(prompt["ids"].size())) << name;
      ASSERT_EQ(counted.media_size(), static_cast<int>(prompt["media"].size())) << name;
      for (int i = 0; i < counted.media_size(); ++i) {
        EXPECT_EQ(counted.media(i).soft_tokens(), prompt["media"][i]["soft_tokens"]) << name;
        EXPECT_EQ(counted.media(i).cached(), known) << name;
      }
    }
    if (known) continue;
    for (const size_t encoder : {0, 1}) {
      EXPECT_EQ(LocalCluster::Metric(cluster->encoder_ports(encoder),
                                     "facet_encoder_network_seconds_count"),
                0);
    }
    for (const auto& [name, prompt] : prompts.items()) {
      const Answer answer = Generate(cluster->channel(), RequestOf(kPle, prompt));
      ASSERT_TRUE(answer.status.ok()) << name << ": " << answer.status.error_message();
      EXPECT_EQ(answer.token_ids, prompt["greedy"].get<std::vector<int32_t>>()) << name;
    }
  }
  v1::CountTokensRequest corrupt = CountOf(RequestOf(kPle, prompts["image"]));
  corrupt.mutable_media(0)->mutable_data()->resize(100);
  v1::CountTokensResponse ignored;
  const grpc::Status status = Count(*cluster, corrupt, &ignored);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("media[0]: "));
}

TEST(CountTokensTest, CountsChatsAndRefusesTwoThingsAtOnce) {
  ClusterOptions options;
  options.model = "tests/golden/demo";
  const auto cluster = Start(options);
  ASSERT_NE(cluster, nullptr);
  v1::CountTokensRequest request;
  v1::ChatMessage& message = *request.mutable_chat()->add_messages();
  message.set_role(v1::ChatMessage::USER);
  message.add_content()->set_text("How many tokens is this?");
  v1::RenderChatResponse rendered;
  grpc::ClientContext context;
  ASSERT_TRUE(v1::Generation::NewStub(cluster->channel())
                  ->RenderChat(&context, request.chat(), &rendered)
                  .ok());
  v1::CountTokensResponse counted;
  EXPECT_TRUE(Count(*cluster, request, &counted).ok());
  EXPECT_EQ(counted.prompt_tokens(), rendered.token_ids_size());
  request.mutable_prompt()->set_text("and this?");
  EXPECT_EQ(Count(*cluster, request, &counted).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST(UrlTest, AnImageByUrlIsTheFile) {
  const HttpTestServer server(
      [](const std::string&, const std::string& path, HttpTestServer::Peer& peer) {
        const std::string file = absl::StrCat(kPle, "/media", path);
        if (std::filesystem::exists(file)) peer.Answer("image/png", ReadAll(file));
        peer.Send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
      });
  const std::string host = absl::StrCat("127.0.0.1:", server.port());
  ClusterOptions options;
  options.model = kPle;
  options.encoders = {"vision"};
  options.router_flags = {"--media_url_hosts=" + host, "--media_url_allow_private=127.0.0.1"};
  const auto cluster = Start(options);
  ASSERT_NE(cluster, nullptr);
  const nlohmann::json prompt = Prompts(kPle)["images"];
  v1::GenerateRequest request = RequestOf(kPle, prompt);
  for (int i = 0; i < request.media_size(); ++i) {
    request.mutable_media(i)->set_url(
        absl::StrCat("http://", host, "/", prompt["media"][i]["file"].get<std::string>()));
  }
  const Answer answer = Generate(cluster->channel(), request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.token_ids, prompt["greedy"].get<std::vector<int32_t>>());
  EXPECT_EQ(LocalCluster::Metric(cluster->router_ports(),
                                 "facet_router_media_downloads_total{code=\"OK\"}"),
            2);
  EXPECT_THAT(server.requests(), SizeIs(2));

  request.mutable_media(1)->set_url(absl::StrCat("http://", host, "/none.png"));
  const Answer missing = Generate(cluster->channel(), request);
  EXPECT_EQ(missing.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(missing.status.error_message(), HasSubstr("media[1].url host '127.0.0.1' answers"));
  request.mutable_media(1)->set_url("http://example.com/a.png");
  const Answer refused = Generate(cluster->channel(), request);
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.status.error_message(), HasSubstr("--media_url_hosts does not allow"));
}

TEST(UrlTest, ByDefaultNothingIsFetched) {
  const HttpTestServer server([](const std::string&, const std::string&, HttpTestServer::Peer&) {});
  ClusterOptions options;
  options.model = kPle;
  options.encoders = {"vision"};
  const auto cluster = Start(options);
  ASSERT_NE(cluster, nullptr);
  v1::GenerateRequest request = ImageRequest(kPle, "");
  const std::string file = std::filesystem::absolute(kPle).string() + "/media/image0.png";
  for (const std::string& url :
       {absl::StrCat("http://127.0.0.1:", server.port(), "/a.png"), "file://" + file}) {
    request.mutable_media(0)->set_url(url);
    const Answer answer = Generate(cluster->channel(), request);
    EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << url;
    EXPECT_THAT(answer.status.error_message(), HasSubstr("media[0].url is")) << url;
  }
  EXPECT_THAT(server.requests(), IsEmpty());
}

TEST(SizeTest, AnImageOf12MegabytesIsTakenAtTheLimitAndRefusedAByteAbove) {
  const std::string image = PlainPng(2000, 2000);
  ASSERT_GT(image.size(), 12'000'000u);
  ClusterOptions options;
  options.model = kPle;
  options.encoders = {"vision"};
  options.router_flags = {absl::StrCat("--max_media_bytes=", image.size())};
  const auto cluster = Start(options);
  ASSERT_NE(cluster, nullptr);
  const Answer taken = Generate(cluster->channel(), ImageRequest(kPle, image));
  ASSERT_TRUE(taken.status.ok()) << taken.status.error_message();
  EXPECT_EQ(taken.start.media(0).soft_tokens(), 64);
  const Answer above = Generate(cluster->channel(), ImageRequest(kPle, image + "x"));
  EXPECT_EQ(above.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(above.status.error_message(),
              HasSubstr(absl::StrCat("have ", image.size() + 1, " bytes; at most ", image.size(),
                                     " are accepted")));
  // Far above it the message is not even read.
  const Answer far =
      Generate(cluster->channel(), ImageRequest(kPle, image + std::string(17 << 20, 'x')));
  EXPECT_EQ(far.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(far.status.error_message(), HasSubstr("larger than max"));
}

// The dense checkpoint, which sees images both ways, with room for long prompts.
std::string LongDense() {
  const std::filesystem::path folder = MakeTestDir() + "/dense";
  std::filesystem::create_directory(folder);
  for (const auto& entry : std::filesystem::directory_iterator(kDense)) {
    if (entry.path().filename() == "config.json") continue;
    std::filesystem::create_symlink(std::filesystem::absolute(entry.path()),
                                    folder / entry.path().filename());
  }
  auto config = nlohmann::json::parse(ReadAll(std::string(kDense) + "/config.json"));
  config["text_config"]["max_position_embeddings"] = 16384;
  std::ofstream(folder / "config.json") << config.dump();
  return folder;
}

// Bytes of memory that a process has used at the most.
int64_t PeakBytes(const ChildProcess& process) {
  std::ifstream status(absl::StrCat("/proc/", process.pid(), "/status"));
  std::string word;
  int64_t kib = 0;
  while (status >> word) {
    if (word == "VmHWM:" && status >> kib) return kib * 1024;
  }
  return -1;
}

TEST(SizeTest, TheLargestImageFitsInAStepAndALongPromptBehindItTakesNoMaskOfItsSquare) {
  ClusterOptions options;
  options.model = LongDense();
  options.encoders = {"vision"};
  options.shard_flags = {"--kv_cache_bytes=64MiB"};
  const auto cluster = Start(options);
  ASSERT_NE(cluster, nullptr);
  v1::GenerateRequest request = ImageRequest(options.model, PlainPng(480, 640), 1120);
  const Answer largest = Generate(cluster->channel(), request);
  ASSERT_TRUE(largest.status.ok()) << largest.status.error_message();
  EXPECT_EQ(largest.start.media(0).soft_tokens(), 28 * 38);
  EXPECT_EQ(largest.token_ids.size(), 2);

  const int64_t before = PeakBytes(cluster->rank(0, 0));
  constexpr int kTextTokens = 12000;
  for (int i = 0; i < kTextTokens; ++i) {
    request.mutable_prompt()->mutable_token_ids()->add_ids(10 + i % 200);
  }
  const Answer answer = Generate(cluster->channel(), request, /*timeout_seconds=*/200);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.start.prompt_tokens(), 28 * 38 + 5 + kTextTokens);
  ASSERT_GT(before, 0);
  // A byte for each pair of positions would be 170 MB.
  EXPECT_LT(PeakBytes(cluster->rank(0, 0)) - before, 90'000'000);
}

TEST(SizeTest, AnImageThatMayNotFitInAStepIsRefusedBeforeItIsEncoded) {
  ClusterOptions options;
  options.model = kDense;
  options.encoders = {"vision"};
  options.shard_flags = {"--max_step_tokens=130", "--max_running=10"};
  const auto cluster = Start(options);
  ASSERT_NE(cluster, nullptr);
  const std::string image = ReadAll(std::string(kDense) + "/media/image0.png");
  const Answer refused = Generate(cluster->channel(), ImageRequest(kDense, image, 140));
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.status.error_message(),
              HasSubstr("media[0].max_soft_tokens is 140; the shard group takes images of at most "
                        "120 (its --max_step_tokens less --max_running)"));
  EXPECT_EQ(LocalCluster::Metric(cluster->encoder_ports(0), "facet_encoder_decode_seconds_count"),
            0);
  const Answer taken = Generate(cluster->channel(), ImageRequest(kDense, image, 70));
  EXPECT_TRUE(taken.status.ok()) << taken.status.error_message();
}

}  // namespace
}  // namespace facet::testing
