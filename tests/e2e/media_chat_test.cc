// Chats with images, audio and video on real processes: the answers are those that the reference
// computes from the same messages and files (tests/golden/media/make_chat_golden.py).

#include <sndfile.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "services/audio/testing/audio_files.h"
#include "services/vision/testing/plain_png.h"
#include "services/vision/testing/video_files.h"
#include "tests/e2e/chat_client.h"
#include "tests/e2e/local_cluster.h"
#include "tests/testing/files.h"

namespace facet::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr int kPageTokens = 16;
constexpr char kMediaFolder[] = "tests/golden/media/";
constexpr char kImage[] = "ple/media/image0.png";  // 60 soft tokens

// A file of the fixtures, by its path from their folder.
std::string MediaFile(const std::string& path) { return ReadAll(kMediaFolder + path); }

Json Chats(const std::string& variant) {
  return Json::parse(ReadAll(absl::StrCat(kMediaFolder, variant, "/expected.json")))["chats"];
}

std::unique_ptr<LocalCluster> StartCluster(const std::string& variant, int tensor_parallel = 1) {
  ClusterOptions options;
  options.model = kMediaFolder + variant;
  options.tensor_parallel = tensor_parallel;
  options.encoders = {"vision"};
  if (variant == "chat") options.encoders.push_back("audio");
  auto cluster = LocalCluster::Start(options);
  EXPECT_THAT(cluster, IsOk());
  return cluster.ok() ? *std::move(cluster) : nullptr;
}

v1::ChatMessage::Role RoleOf(const std::string& role) {
  if (role == "system") return v1::ChatMessage::SYSTEM;
  if (role == "assistant") return v1::ChatMessage::ASSISTANT;
  return role == "tool" ? v1::ChatMessage::TOOL : v1::ChatMessage::USER;
}

v1::Media::Kind KindOf(const std::string& type) {
  if (type == "image") return v1::Media::IMAGE;
  return type == "audio" ? v1::Media::AUDIO : v1::Media::VIDEO;
}

void AddPart(const Json& part, v1::ChatMessage* message) {
  const std::string type = part["type"];
  if (type == "text") return AddText(part["text"], message);
  const std::vector<std::string> files = part["files"];
  if (part.contains("times")) {
    v1::VideoFrames& frames = *AddMedium(v1::Media::VIDEO, message)->mutable_frames();
    for (const std::string& file : files) frames.add_images(MediaFile(file));
    for (const double time : part["times"]) frames.add_timestamp_seconds(time);
    return;
  }
  AddMedium(KindOf(type), message)->set_data(MediaFile(files[0]));
}

// The conversation of expected.json, as a caller sends it.
v1::ChatRequest RequestOf(const Json& messages) {
  v1::ChatRequest request;
  for (const Json& message : messages) {
    v1::ChatMessage* const out = AddMessage(RoleOf(message["role"]), &request);
    const Json content = message.value("content", Json::array());
    if (content.is_string()) AddText(content, out);
    if (content.is_array()) {
      for (const Json& part : content) AddPart(part, out);
    }
    for (const Json& call : message.value("tool_calls", Json::array())) {
      v1::ToolCall& added = *out->add_tool_calls();
      added.set_id(call["id"]);
      added.set_name(call["function"]["name"]);
      added.set_arguments(call["function"]["arguments"].dump());
    }
    out->set_tool_call_id(message.value("tool_call_id", ""));
  }
  return request;
}

// Of the media of a conversation, in their order.
std::vector<v1::Media::Kind> KindsOf(const v1::ChatRequest& request) {
  std::vector<v1::Media::Kind> kinds;
  for (const v1::ChatMessage& message : request.messages()) {
    for (const v1::ContentPart& part : message.content()) {
      if (part.has_media()) kinds.push_back(part.media().kind());
    }
  }
  return kinds;
}

// Greedy, of exactly `tokens` tokens: the end tokens are banned, and `banned`.
void GenerateExactly(const std::string& variant, int tokens, const std::vector<int32_t>& banned,
                     v1::ChatRequest* request) {
  const Json config =
      Json::parse(ReadAll(absl::StrCat(kMediaFolder, variant, "/generation_config.json")));
  auto& bias = *request->mutable_sampling()->mutable_logit_bias();
  for (const int32_t id : config["eos_token_id"].get<std::vector<int32_t>>()) bias[id] = -100;
  for (const int32_t id : banned) bias[id] = -100;
  request->mutable_sampling()->set_temperature(0);
  request->mutable_stopping()->set_max_tokens(tokens);
}

v1::ChatRequest GoldenRequest(const std::string& variant, const Json& chat) {
  v1::ChatRequest request = RequestOf(chat["messages"]);
  GenerateExactly(variant, static_cast<int>(chat["greedy"].size()),
                  chat["banned"].get<std::vector<int32_t>>(), &request);
  return request;
}

std::string Rendered(const LocalCluster& cluster, const v1::ChatRequest& request) {
  grpc::ClientContext context;
  v1::RenderChatResponse response;
  EXPECT_TRUE(
      v1::Generation::NewStub(cluster.channel())->RenderChat(&context, request, &response).ok());
  return response.prompt();
}

struct Shape {
  std::string variant;
  int tensor_parallel;
};
class MediaChatGoldenTest : public ::testing::TestWithParam<Shape> {};

TEST_P(MediaChatGoldenTest, AnswersAreThoseOfTheReference) {
  const auto [variant, tensor_parallel] = GetParam();
  const auto cluster = StartCluster(variant, tensor_parallel);
  ASSERT_NE(cluster, nullptr);
  const Json chats = Chats(variant);
  ASSERT_GE(chats.size(), 5u);
  // Again with all that is cached by then: soft tokens, and the beginnings of prompts.
  for (const bool again : {false, true}) {
    for (const auto& [name, chat] : chats.items()) {
      const v1::ChatRequest request = GoldenRequest(variant, chat);
      EXPECT_EQ(Rendered(*cluster, request), chat["rendered"]) << name;
      const ChatAnswer answer = Chat(cluster->channel(), request);
      ASSERT_TRUE(answer.status.ok()) << name << ": " << answer.status.error_message();
      EXPECT_EQ(answer.token_ids, chat["greedy"].get<std::vector<int32_t>>()) << name;
      const int prompt_tokens = static_cast<int>(chat["ids"].size());
      EXPECT_EQ(answer.start.prompt_tokens(), prompt_tokens) << name;
      EXPECT_EQ(answer.end.usage().prompt_tokens(), prompt_tokens) << name;
      std::vector<int> soft_tokens;
      std::vector<v1::Media::Kind> kinds;
      for (const v1::MediaUsage& media : answer.start.media()) {
        soft_tokens.push_back(media.soft_tokens());
        kinds.push_back(media.kind());
        EXPECT_TRUE(!again || media.cached()) << name;
      }
      EXPECT_EQ(soft_tokens, chat["soft_tokens"].get<std::vector<int>>()) << name;
      EXPECT_EQ(kinds, KindsOf(request)) << name;
      EXPECT_TRUE(!again || answer.start.cached_tokens() > prompt_tokens / 4) << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, MediaChatGoldenTest,
                         ::testing::ValuesIn(std::vector<Shape>{
                             {"chat", 1}, {"chat", 2}, {"chat_large", 1}}),
                         [](const auto& info) {
                           return absl::StrCat(info.param.variant, "_on_",
                                               info.param.tensor_parallel);
                         });

class MediaChatTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = StartCluster("chat").release(); }
  static void TearDownTestSuite() { std::unique_ptr<LocalCluster> cluster(cluster_); }
  void SetUp() override { ASSERT_NE(cluster_, nullptr); }

  // A message of the user with one medium; the answer has `tokens` tokens.
  static v1::ChatRequest Ask(v1::Media::Kind kind, const std::string& bytes,
                             const std::string& text, int tokens = 4) {
    v1::ChatRequest request;
    v1::ChatMessage* const message = AddMessage(v1::ChatMessage::USER, &request);
    AddMedium(kind, message)->set_data(bytes);
    AddText(text, message);
    GenerateExactly("chat", tokens, {}, &request);
    return request;
  }

  static ChatAnswer Ask(const v1::ChatRequest& request) {
    ChatAnswer answer = Chat(cluster_->channel(), request);
    EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
    return answer;
  }

  static int CountTokens(const std::string& text) {
    grpc::ClientContext context;
    v1::TokenizeRequest request;
    request.set_text(text);
    request.set_parse_special(true);
    v1::TokenizeResponse response;
    EXPECT_TRUE(
        v1::Generation::NewStub(cluster_->channel())->Tokenize(&context, request, &response).ok());
    return response.token_ids_size();
  }

  static LocalCluster* cluster_;
};
LocalCluster* MediaChatTest::cluster_ = nullptr;

TEST_F(MediaChatTest, TheSecondRoundTakesTheFirstFromTheCacheWithItsImage) {
  v1::ChatRequest request = Ask(v1::Media::IMAGE, MediaFile(kImage), "What is on the shore?", 20);
  const ChatAnswer first = Ask(request);
  AddText(first.content, AddMessage(v1::ChatMessage::ASSISTANT, &request));
  AddText("Why?", AddMessage(v1::ChatMessage::USER, &request));
  const ChatAnswer second = Ask(request);
  EXPECT_TRUE(second.start.media(0).cached());
  // Whole pages of the first prompt at least. What the template writes behind it is the same too.
  EXPECT_GE(second.start.cached_tokens(), first.start.prompt_tokens() / kPageTokens * kPageTokens);
  EXPECT_EQ(second.end.usage().cached_tokens(), second.start.cached_tokens());
}

TEST_F(MediaChatTest, AnotherImageOfTheSameSizeUnderTheSameTextIsComputedAnew) {
  const std::string text = "Are these two the same thing, or are they not?";
  std::vector<ChatAnswer> cold;
  for (const char* file : {"ple/media/frame0.png", "ple/media/frame1.png"}) {
    cold.push_back(Ask(Ask(v1::Media::IMAGE, MediaFile(file), text, 8)));
    // Nothing before the image fills a page.
    EXPECT_EQ(cold.back().start.cached_tokens(), 0) << file;
  }
  ASSERT_EQ(cold[0].start.prompt_tokens(), cold[1].start.prompt_tokens());
  for (const size_t i : {0, 1}) {
    const ChatAnswer warm =
        Ask(Ask(v1::Media::IMAGE, MediaFile(absl::StrCat("ple/media/frame", i, ".png")), text, 8));
    EXPECT_GE(warm.start.cached_tokens(), warm.start.prompt_tokens() - 2 * kPageTokens);
    EXPECT_EQ(warm.token_ids, cold[i].token_ids);
  }
}

TEST_F(MediaChatTest, ThreeRoundsOfVoiceGrowOnEachOther) {
  v1::ChatRequest request;
  int prompt_tokens = 0;
  for (int round = 0; round < 3; ++round) {
    v1::ChatMessage* const message = AddMessage(v1::ChatMessage::USER, &request);
    AddText(absl::StrCat("Round ", round, ": "), message);
    AddMedium(v1::Media::AUDIO, message)
        ->set_data(MediaFile(absl::StrCat("ple/media/audio", (round + 1) % 3, ".wav")));
    GenerateExactly("chat", 12, {}, &request);
    const ChatAnswer answer = Ask(request);
    ASSERT_EQ(answer.start.media_size(), round + 1);
    for (int i = 0; i < round; ++i) EXPECT_TRUE(answer.start.media(i).cached()) << round;
    EXPECT_GT(answer.start.media(round).seconds(), 0);
    EXPECT_GE(answer.start.cached_tokens(), prompt_tokens / kPageTokens * kPageTokens) << round;
    EXPECT_GT(answer.start.prompt_tokens(), prompt_tokens) << round;
    prompt_tokens = answer.start.prompt_tokens();
    AddText(answer.content, AddMessage(v1::ChatMessage::ASSISTANT, &request));
  }
}

// What stands for a video of these frame times in a prompt, each frame with `soft_tokens`.
std::string ExpandedVideo(const std::vector<double>& times, int soft_tokens) {
  std::string text;
  for (const double time : times) {
    const int seconds = static_cast<int>(time);
    absl::StrAppend(&text, text.empty() ? "" : " ",
                    absl::StrFormat("%02d:%02d <|image>", seconds / 60, seconds % 60));
    for (int i = 0; i < soft_tokens; ++i) text += "<|video|>";
    text += "<image|>";
  }
  return text;
}

struct VideoCase {
  std::string name;
  VideoSpec spec;
  int taken;  // frames
};
void PrintTo(const VideoCase& c, std::ostream* out) { *out << c.name; }
class VideoChatTest : public MediaChatTest, public ::testing::WithParamInterface<VideoCase> {};

TEST_P(VideoChatTest, EachFrameThatIsTakenHasItsTimeAndItsSoftTokens) {
  const auto& [name, spec, taken] = GetParam();
  const std::vector<uint8_t> bytes = MakeVideo(spec);
  v1::ChatRequest request =
      Ask(v1::Media::VIDEO, std::string(bytes.begin(), bytes.end()), "What happens?", 2);
  const ChatAnswer answer = Ask(request);
  ASSERT_EQ(answer.start.media_size(), 1);
  const v1::MediaUsage& usage = answer.start.media(0);
  EXPECT_EQ(usage.kind(), v1::Media::VIDEO);
  EXPECT_EQ(usage.parts(), taken);
  EXPECT_NEAR(usage.seconds(), double{1} * spec.frames * spec.rate_base / spec.rate, 0.1);
  ASSERT_EQ(usage.soft_tokens() % taken, 0);
  std::vector<double> times;
  for (int i = 0; i < taken; ++i) {
    const int index = i * spec.frames / taken;
    times.push_back(double{1} * index * spec.rate_base / spec.rate);
  }
  const std::string expanded = ExpandedVideo(times, usage.soft_tokens() / taken);
  EXPECT_EQ(answer.start.prompt_tokens(),
            CountTokens(absl::StrCat("<bos><|turn>user\n", expanded,
                                     "What happens?<turn|>\n<|turn>model\n")));
}

INSTANTIATE_TEST_SUITE_P(
    Files, VideoChatTest,
    ::testing::ValuesIn(std::vector<VideoCase>{
        {"mp4_of_five_seconds", {.width = 96, .height = 54, .frames = 40, .rate = 8}, 32},
        {"mp4_at_an_odd_rate",
         {.width = 96, .height = 54, .frames = 9, .rate = 24000, .rate_base = 1001},
         9},
        {"webm_of_a_minute_and_a_half",
         {.container = "webm",
          .codec = "libvpx-vp9",
          .width = 96,
          .height = 54,
          .frames = 10,
          .rate = 1,
          .rate_base = 9},
         10},
    }),
    [](const auto& info) { return info.param.name; });

struct AudioCase {
  std::string name;
  int format;
  int rate;
  int channels;
};
void PrintTo(const AudioCase& c, std::ostream* out) { *out << c.name; }
class AudioChatTest : public MediaChatTest, public ::testing::WithParamInterface<AudioCase> {};

TEST_P(AudioChatTest, ASecondHasTwentyFiveSoftTokens) {
  const AudioCase& c = GetParam();
  const std::vector<uint8_t> bytes =
      WriteAudio(c.format, c.rate, c.channels, Tone(440, c.rate, c.channels, c.rate));
  const ChatAnswer answer =
      Ask(Ask(v1::Media::AUDIO, std::string(bytes.begin(), bytes.end()), "Hm?"));
  ASSERT_EQ(answer.start.media_size(), 1);
  const v1::MediaUsage& usage = answer.start.media(0);
  EXPECT_EQ(usage.parts(), 1);
  EXPECT_GE(usage.soft_tokens(), 25);
  // MP3 puts some frames of silence around what it is given.
  const bool mp3 = (c.format & SF_FORMAT_TYPEMASK) == SF_FORMAT_MPEG;
  EXPECT_LE(usage.soft_tokens(), mp3 ? 29 : 25);
  EXPECT_NEAR(usage.seconds(), 1, mp3 ? 0.15 : 0.01);
}

std::vector<AudioCase> AudioCases() {
  struct Format {
    std::string name;
    int format;
  };
  std::vector<AudioCase> out;
  for (const auto& [name, format] : std::vector<Format>{
           {"wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16},
           {"flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16},
           {"ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS},
           {"mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III},
       }) {
    for (const int rate : {8000, 16000, 44100}) {
      for (const int channels : {1, 2}) {
        out.push_back({absl::StrCat(name, "_", rate, "_", channels), format, rate, channels});
      }
    }
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(Files, AudioChatTest, ::testing::ValuesIn(AudioCases()),
                         [](const auto& info) { return info.param.name; });

TEST_F(MediaChatTest, AudioThatIsTooLongIsRefusedWithTheLimitAndSplitOnRequest) {
  const std::vector<uint8_t> bytes = WriteAudio(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1,
                                                Tone(440, 16000, 1, int64_t{31} * 16000));
  v1::ChatRequest request = Ask(v1::Media::AUDIO, std::string(bytes.begin(), bytes.end()), "Hm?");
  const ChatAnswer refused = Chat(cluster_->channel(), request);
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.status.error_message(), HasSubstr("30"));
  request.mutable_messages(0)->mutable_content(0)->mutable_media()->set_split_long_audio(true);
  const ChatAnswer split = Ask(request);
  EXPECT_EQ(split.start.media(0).parts(), 2);
  EXPECT_EQ(split.start.media(0).soft_tokens(), 775);
}

TEST(MediaChatLimitTest, TwelveMegabytesPassUpToTheLimitAndNotAByteMore) {
  std::string png = PlainPng(2000, 2000);
  ASSERT_GT(png.size(), 12'000'000u);
  ClusterOptions options;
  options.model = std::string(kMediaFolder) + "chat";
  options.encoders = {"vision"};
  options.router_flags = {absl::StrCat("--max_media_bytes=", png.size())};
  const auto cluster = LocalCluster::Start(options);
  ASSERT_THAT(cluster, IsOk());
  v1::ChatRequest request;
  AddMedium(v1::Media::IMAGE, AddMessage(v1::ChatMessage::USER, &request))->set_data(png);
  GenerateExactly("chat", 2, {}, &request);
  const ChatAnswer taken = Chat((*cluster)->channel(), request);
  EXPECT_TRUE(taken.status.ok()) << taken.status.error_message();
  request.mutable_messages(0)->mutable_content(0)->mutable_media()->mutable_data()->push_back(0);
  const ChatAnswer refused = Chat((*cluster)->channel(), request);
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.status.error_message(), HasSubstr(absl::StrCat(png.size())));
}

TEST_F(MediaChatTest, ACorruptMediumIsNamedByItsPlaceInTheMessages) {
  v1::ChatRequest request = Ask(v1::Media::IMAGE, MediaFile(kImage), "What?");
  v1::ChatMessage* const message = AddMessage(v1::ChatMessage::USER, &request);
  AddText("And this?", message);
  AddMedium(v1::Media::AUDIO, message)->set_data("RIFF, but no more");
  const ChatAnswer answer = Chat(cluster_->channel(), request);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(answer.status.error_message(), HasSubstr("messages[1].content[1].media"));
}

TEST_F(MediaChatTest, PlaceholdersThatACallerWritesAreText) {
  v1::ChatRequest request = Ask(v1::Media::IMAGE, MediaFile(kImage), "<|image|> and <|audio|>");
  const ChatAnswer answer = Ask(request);
  EXPECT_EQ(answer.start.media_size(), 1);
}

TEST_F(MediaChatTest, AToolIsCalledOnAnImageAndAnswersWithOne) {
  v1::ChatRequest request = Ask(v1::Media::IMAGE, MediaFile(kImage), "Zoom in.");
  request.clear_sampling();
  request.mutable_sampling()->set_temperature(0);
  request.mutable_stopping()->set_max_tokens(200);
  v1::Tool& tool = *request.add_tools();
  tool.set_name("zoom");
  tool.set_parameters(R"({"type": "object", "properties": {
      "part": {"enum": ["left", "right"]}}, "required": ["part"]})");
  request.mutable_tool_choice()->set_mode(v1::ToolChoice::REQUIRED);
  request.set_parallel_tool_calls(false);
  const ChatAnswer asked = Ask(request);
  EXPECT_EQ(asked.sequence_end.finish_reason(), v1::TOOL_CALL);
  ASSERT_EQ(asked.calls.size(), 1u);
  EXPECT_EQ(asked.calls[0].name(), "zoom");
  EXPECT_THAT(asked.calls[0].arguments(), HasSubstr("\"part\""));
  v1::ToolCall& call = *AddMessage(v1::ChatMessage::ASSISTANT, &request)->add_tool_calls();
  call.set_id(asked.calls[0].id());
  call.set_name(asked.calls[0].name());
  call.set_arguments(asked.calls[0].arguments());
  v1::ChatMessage* const result = AddMessage(v1::ChatMessage::TOOL, &request);
  result->set_tool_call_id(call.id());
  AddText("zoomed in", result);
  AddMedium(v1::Media::IMAGE, result)->set_data(MediaFile("ple/media/image4.png"));
  request.mutable_tool_choice()->set_mode(v1::ToolChoice::NONE);
  request.mutable_stopping()->set_max_tokens(8);
  const ChatAnswer told = Ask(request);
  ASSERT_EQ(told.start.media_size(), 2);
  EXPECT_EQ(told.start.media(1).soft_tokens(), 56);
  EXPECT_GE(told.start.cached_tokens(), asked.start.prompt_tokens() / kPageTokens * kPageTokens);
}

}  // namespace
}  // namespace facet::testing
