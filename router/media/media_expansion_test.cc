#include "router/media/media_expansion.h"

#include <fstream>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace facet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

constexpr char kPle[] = "tests/golden/media/ple";

v1::Media::Kind KindOf(const std::string& name) {
  if (name == "image") return v1::Media::IMAGE;
  return name == "video" ? v1::Media::VIDEO : v1::Media::AUDIO;
}

ModelConfig PleConfig() {
  absl::StatusOr<ModelConfig> config = LoadModelConfig(kPle);
  EXPECT_THAT(config, IsOk());
  return *std::move(config);
}

EncodedPart Part(int count, double time = 0) {
  EncodedPart part;
  part.soft.set_count(count);
  part.soft.set_dtype("f32");
  part.soft.set_rows(std::string(static_cast<size_t>(count), 'r'));
  part.timestamp_seconds = time;
  part.content_hash = std::string(32, static_cast<char>('a' + count));
  return part;
}

std::shared_ptr<const EncodedMedium> Medium(v1::Media::Kind kind, std::vector<EncodedPart> parts) {
  auto medium = std::make_shared<EncodedMedium>();
  medium->kind = kind;
  medium->parts = std::move(parts);
  medium->seconds = 1.5;
  return medium;
}

TEST(MediaExpansion, GivesThePromptsOfTheReference) {
  const ModelConfig config = PleConfig();
  nlohmann::json expected;
  std::ifstream(std::string(kPle) + "/expected.json") >> expected;
  ASSERT_GE(expected["prompts"].size(), 5u);
  for (const auto& [name, prompt] : expected["prompts"].items()) {
    std::vector<std::shared_ptr<const EncodedMedium>> media;
    for (const auto& medium : prompt["media"]) {
      media.push_back(Medium(KindOf(medium["kind"]), {Part(medium["soft_tokens"])}));
    }
    const auto ids = prompt["prompt"].get<std::vector<int32_t>>();
    const auto out = ExpandPrompt(config, ids, media, nullptr);
    ASSERT_THAT(out, IsOk());
    EXPECT_EQ(out->token_ids, prompt["ids"].get<std::vector<int32_t>>()) << name;
    ASSERT_EQ(out->spans.size(), media.size());
    for (size_t i = 0; i < media.size(); ++i) {
      const internal::MediaSpan& span = out->spans[i];
      const internal::SoftTokens& soft = media[i]->parts[0].soft;
      EXPECT_EQ(span.count(), soft.count());
      EXPECT_EQ(span.rows(), soft.rows());
      EXPECT_EQ(span.dtype(), "f32");
      EXPECT_EQ(span.content_hash(), media[i]->parts[0].content_hash);
      const size_t at = static_cast<size_t>(span.position());
      const size_t last = at + static_cast<size_t>(span.count()) - 1;
      EXPECT_EQ(out->token_ids[at], out->token_ids[last]);
      EXPECT_NE(out->token_ids[at], out->token_ids[at - 1]);
      EXPECT_NE(out->token_ids[at], out->token_ids[last + 1]);
    }
  }
}

TEST(MediaExpansion, FramesHaveTheirTimesAroundThemAsText) {
  const ModelConfig config = PleConfig();
  std::vector<std::string> texts;
  const auto tokenize = [&texts](const std::string& text) -> absl::StatusOr<std::vector<int32_t>> {
    texts.push_back(text);
    return std::vector<int32_t>{7, static_cast<int32_t>(texts.size())};
  };
  const auto video = Medium(v1::Media::VIDEO, {Part(2, 0.9), Part(1, 61.99), Part(1, 6000)});
  const auto out = ExpandPrompt(config, std::vector<int32_t>{2, 499, 3}, {video}, tokenize);
  ASSERT_THAT(out, IsOk());
  EXPECT_THAT(texts, ElementsAre("00:00 ", " 01:01 ", " 100:00 "));
  EXPECT_THAT(out->token_ids, ElementsAre(2, 7, 1, 511, 499, 499, 509, 7, 2, 511, 499, 509, 7, 3,
                                          511, 499, 509, 3));
  ASSERT_EQ(out->usage.size(), 1u);
  EXPECT_EQ(out->usage[0].soft_tokens(), 4);
  EXPECT_EQ(out->usage[0].parts(), 3);
  EXPECT_EQ(out->usage[0].seconds(), 1.5);
  EXPECT_EQ(out->spans[2].kind(), internal::MediaSpan::VIDEO);
  EXPECT_EQ(out->spans[2].position(), 15);
}

TEST(MediaExpansion, PiecesOfLongAudioStandBehindEachOther) {
  const auto audio = Medium(v1::Media::AUDIO, {Part(2), Part(1)});
  const auto out = ExpandPrompt(PleConfig(), std::vector<int32_t>{501}, {audio}, nullptr);
  ASSERT_THAT(out, IsOk());
  EXPECT_THAT(out->token_ids, ElementsAre(505, 501, 501, 503, 505, 501, 503));
  EXPECT_EQ(out->usage[0].soft_tokens(), 3);
}

class Matching : public ::testing::Test {
 protected:
  absl::StatusOr<std::vector<size_t>> Match(const std::vector<int32_t>& prompt,
                                            const std::vector<v1::Media::Kind>& kinds) {
    media_.assign(kinds.size(), v1::Media());
    MediaInputs inputs;
    for (size_t i = 0; i < kinds.size(); ++i) {
      media_[i].set_kind(kinds[i]);
      inputs.push_back({&media_[i], "media"});
    }
    return MatchPlaceholders(PleConfig(), prompt, inputs);
  }

  std::vector<v1::Media> media_;
};

TEST_F(Matching, EachPlaceholderTakesTheNextMediumOfItsKind) {
  const auto out = Match({2, 501, 507, 9, 507, 499},
                         {v1::Media::IMAGE, v1::Media::IMAGE, v1::Media::VIDEO, v1::Media::AUDIO});
  ASSERT_THAT(out, IsOk());
  EXPECT_THAT(*out, ElementsAre(3, 0, 1, 2));
  EXPECT_THAT(Match({2, 3}, {}), IsOk());
}

TEST_F(Matching, NumbersThatDifferAreRefusedWithBoth) {
  const auto more = Match({507, 507, 2}, {v1::Media::IMAGE});
  EXPECT_THAT(more, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(more.status().message(),
              HasSubstr("the prompt has 2 placeholders of IMAGE (token 507) and the request 1"));
  const auto fewer = Match({2}, {v1::Media::AUDIO});
  EXPECT_THAT(fewer, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(fewer.status().message(), HasSubstr("0 placeholders of AUDIO (token 501)"));
  EXPECT_THAT(Match({507}, {v1::Media::VIDEO}), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace facet
