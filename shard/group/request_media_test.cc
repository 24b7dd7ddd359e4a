#include "shard/group/request_media.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::HasSubstr;

constexpr int32_t kImage = 90, kVideo = 91, kAudio = 92;

MediaLimits Limits() {
  MediaLimits limits;
  limits.hidden_size = 3;
  limits.image_token_id = kImage;
  limits.video_token_id = kVideo;
  limits.audio_token_id = kAudio;
  limits.has_blocks = true;
  limits.max_block_tokens = 5;
  limits.max_bytes = 1000;
  return limits;
}

// Text, an image of 3, text, a frame of 2, a clip of 4.
std::vector<int32_t> Prompt() {
  return {1, 2, kImage, kImage, kImage, 3, kVideo, kVideo, kAudio, kAudio, kAudio, kAudio};
}

RequestMedia Media(int position, int count, MediaKind kind, DType dtype = DType::kF32) {
  RequestMedia media;
  media.soft_tokens =
      OwnSoftTokens(position, count, kind, dtype, std::string(count * 3 * SizeOf(dtype), '\1'));
  media.content_hash = std::string(32, static_cast<char>('0' + position));
  return media;
}

std::vector<RequestMedia> GoodMedia() {
  return {Media(2, 3, MediaKind::kImage), Media(6, 2, MediaKind::kVideo, DType::kBF16),
          Media(8, 4, MediaKind::kAudio)};
}

RequestMedia WithValue(RequestMedia media, float value) {
  std::string rows(media.soft_tokens.rows);
  if (media.soft_tokens.dtype == DType::kF32) {
    std::memcpy(rows.data() + rows.size() - 4, &value, 4);
  } else {
    const uint16_t bits = FloatToBf16(value);
    std::memcpy(rows.data() + rows.size() - 2, &bits, 2);
  }
  const SoftTokens& old = media.soft_tokens;
  media.soft_tokens = OwnSoftTokens(old.position, old.count, old.kind, old.dtype, std::move(rows));
  return media;
}

TEST(RequestMediaTest, GoodMediaPass) {
  EXPECT_THAT(ValidateMedia(GoodMedia(), Prompt(), Limits()), IsOk());
  EXPECT_THAT(ValidateMedia({}, Prompt(), MediaLimits()), IsOk());
  std::vector<RequestMedia> media = GoodMedia();
  media[0] = WithValue(media[0], std::numeric_limits<float>::max());
  media[1] = WithValue(media[1], -3e38f);
  EXPECT_THAT(ValidateMedia(media, Prompt(), Limits()), IsOk());
}

struct BadCase {
  std::string name;
  std::function<void(std::vector<RequestMedia>&, MediaLimits&)> change;
  std::string message;
};
class BadMediaTest : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadMediaTest, IsRefusedByFieldValueAndLimit) {
  std::vector<RequestMedia> media = GoodMedia();
  MediaLimits limits = Limits();
  GetParam().change(media, limits);
  EXPECT_THAT(ValidateMedia(media, Prompt(), limits),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
}

constexpr float kInfinity = std::numeric_limits<float>::infinity();

INSTANTIATE_TEST_SUITE_P(
    Cases, BadMediaTest,
    ::testing::ValuesIn(std::vector<BadCase>{
        {"order", [](auto& m, auto&) { std::swap(m[0], m[1]); },
         "media 1: 3 soft tokens from position 2 on, must lie in [8, 12)"},
        {"before_the_prompt", [](auto& m, auto&) { m[0].soft_tokens.position = -1; },
         "media 0: 3 soft tokens from position -1 on, must lie in [0, 12)"},
        {"behind_it", [](auto& m, auto&) { m[2].soft_tokens.position = 9; },
         "media 2: 4 soft tokens from position 9 on, must lie in [8, 12)"},
        {"far_behind_it",
         [](auto& m, auto&) { m[2].soft_tokens.count = std::numeric_limits<int32_t>::max(); },
         "media 2: 2147483647 soft tokens"},
        {"no_tokens", [](auto& m, auto&) { m[1].soft_tokens.count = 0; },
         "media 1: count is 0, must be at least 1"},
        {"no_placeholder", [](auto& m, auto&) { m[0].soft_tokens.position = 1; },
         "prompt token 1 is 2, must be the placeholder of the image, 90"},
        {"kind", [](auto& m, auto&) { m[1].soft_tokens.kind = MediaKind::kImage; },
         "prompt token 6 is 91, must be the placeholder of the image, 90"},
        {"kind_that_the_model_lacks", [](auto&, auto& l) { l.audio_token_id.reset(); },
         "media 2: kind is audio: the model takes none"},
        {"dtype", [](auto& m, auto&) { m[1].soft_tokens.dtype = DType::kF16; },
         "dtype is f16, must be f32 or bf16"},
        {"size", [](auto&, auto& l) { l.hidden_size = 4; },
         "media 0: rows have 36 bytes, must have 48: 3 of 4 f32"},
        {"infinite", [](auto& m, auto&) { m[0] = WithValue(m[0], kInfinity); },
         "media 0: rows have a value that is not finite"},
        {"infinite_bf16", [](auto& m, auto&) { m[1] = WithValue(m[1], -kInfinity); },
         "media 1: rows have a value that is not finite"},
        {"nan", [](auto& m, auto&) { m[2] = WithValue(m[2], std::nanf("")); },
         "media 2: rows have a value that is not finite"},
        {"hash", [](auto& m, auto&) { m[2].content_hash.pop_back(); },
         "media 2: content_hash has 31 bytes, must have 32"},
        {"bytes", [](auto&, auto& l) { l.max_bytes = 95; },
         "media have 96 bytes of soft tokens, must have at most 95"},
        {"block", [](auto&, auto& l) { l.max_block_tokens = 2; },
         "an image of 3 soft tokens at position 2: the model must compute it in one step, which "
         "has room for 2"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(RequestMediaTest, WithoutBlocksAnImageMayBeLong) {
  MediaLimits limits = Limits();
  limits.has_blocks = false;
  limits.max_block_tokens = 0;
  EXPECT_THAT(ValidateMedia(GoodMedia(), Prompt(), limits), IsOk());
}

TEST(RequestMediaTest, ABlockIsOneSpanOfTheHash) {
  std::vector<RequestMedia> media = {Media(2, 3, MediaKind::kImage), Media(5, 2, MediaKind::kVideo),
                                     Media(7, 1, MediaKind::kAudio)};
  const auto blocks = HashedSpans(media, /*has_blocks=*/true);
  ASSERT_EQ(blocks.size(), 2u);
  EXPECT_EQ(blocks[0].start, 2);
  EXPECT_EQ(blocks[0].tokens, 5);
  EXPECT_EQ(blocks[1].start, 7);
  EXPECT_EQ(HashedSpans(media, /*has_blocks=*/false).size(), 3u);
  EXPECT_EQ(MakePromptMedia(media, true)->unsplit.size(), 1u);
  EXPECT_TRUE(MakePromptMedia(media, false)->unsplit.empty());
  EXPECT_EQ(MakePromptMedia({}, true), nullptr);
}

TEST(RequestMediaTest, WhateverTheRowsDependOnChangesTheHash) {
  const RequestMedia media = Media(2, 3, MediaKind::kImage);
  const auto hash = [](const RequestMedia& one) {
    return HashedSpans({&one, 1}, true)[0].content_hash;
  };
  RequestMedia other = media;
  other.content_hash[31] ^= 1;
  EXPECT_NE(hash(other), hash(media));
  EXPECT_NE(hash(Media(2, 3, MediaKind::kVideo)), hash(media));
  EXPECT_NE(hash(Media(2, 3, MediaKind::kImage, DType::kBF16)), hash(media));
  EXPECT_EQ(hash(media), hash(Media(2, 3, MediaKind::kImage)));
}

}  // namespace
}  // namespace facet
