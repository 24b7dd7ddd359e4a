#include "services/audio/audio_encoder.h"

#include <numeric>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/audio/mel_features.h"

namespace facet {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kMost = kMaxAudioSamples;
constexpr int64_t kLeast = kMinAudioSamples;

TEST(CutAudioTest, PiecesAreAsLongAsTheModelTakes) {
  EXPECT_THAT(CutAudio(kLeast), ElementsAre(kLeast));
  EXPECT_THAT(CutAudio(kMost), ElementsAre(kMost));
  EXPECT_THAT(CutAudio(kMost + kLeast), ElementsAre(kMost, kLeast));
  EXPECT_THAT(CutAudio(2 * kMost + 16000), ElementsAre(kMost, kMost, 16000));
}

TEST(CutAudioTest, AnEndThatWouldBeTooShortTakesFromThePieceBefore) {
  EXPECT_THAT(CutAudio(kMost + 1), ElementsAre(kMost - 160, kLeast));
  EXPECT_THAT(CutAudio(2 * kMost + kLeast - 1), ElementsAre(kMost, kMost - 1, kLeast));
}

TEST(CutAudioTest, NothingIsLostAndEveryPieceHasAToken) {
  std::mt19937 random(1);
  for (int round = 0; round < 1000; ++round) {
    const int64_t samples = kLeast + random() % (5 * kMost);
    const std::vector<int64_t> pieces = CutAudio(samples);
    EXPECT_EQ(std::accumulate(pieces.begin(), pieces.end(), int64_t{0}), samples);
    for (const int64_t piece : pieces) {
      EXPECT_LE(piece, kMost);
      EXPECT_GE(AudioSoftTokens(piece), 1);
    }
  }
}

}  // namespace
}  // namespace facet
