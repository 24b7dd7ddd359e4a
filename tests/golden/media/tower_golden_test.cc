// Pixels, features and soft tokens are those that the reference computes.
// argv[1]: folder of the checkpoint, with media/ and expected.safetensors.

#include <openssl/evp.h>

#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cpu/cpu_backend.h"
#include "model/checkpoint.h"
#include "model/media/image_size.h"
#include "services/audio/audio_config.h"
#include "services/audio/audio_decoder.h"
#include "services/audio/audio_tower.h"
#include "services/audio/mel_features.h"
#include "services/vision/bicubic_resize.h"
#include "services/vision/image_decoder.h"
#include "services/vision/vision_config.h"
#include "services/vision/vision_tower.h"
#include "tests/golden/media/media_golden.h"

namespace facet::testing {
namespace {

constexpr int kImageBudget = 70;  // of the fixtures
constexpr float kSoftTolerance = 2e-4f;
constexpr float kMelTolerance = 1e-3f;

std::string model_dir;

std::vector<uint8_t> Sha256(const std::vector<uint8_t>& bytes) {
  std::vector<uint8_t> digest(EVP_MAX_MD_SIZE);
  unsigned int size = 0;
  EXPECT_EQ(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr), 1);
  digest.resize(size);
  return digest;
}

class TowerGoldenTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto golden = MediaGolden::Load(model_dir);
    ASSERT_THAT(golden, IsOk());
    golden_ = std::make_unique<MediaGolden>(*std::move(golden));
    auto checkpoint = OpenCheckpoint(model_dir);
    ASSERT_THAT(checkpoint, IsOk());
    checkpoint_ = *std::move(checkpoint);
    auto backend = CpuBackend::Create({.threads = 2, .max_level = ""});
    ASSERT_THAT(backend, IsOk());
    backend_ = *std::move(backend);
  }

  // Decoded and resized, with the names of those that there are: image0.., frame0...
  std::vector<RgbImage> Images(std::vector<std::string>* names) {
    std::vector<RgbImage> images;
    for (const std::string kind : {"image", "frame"}) {
      for (int i = 0; golden_->Has(absl::StrCat(kind, i, ".soft")); ++i) {
        const std::string name = absl::StrCat(kind, i);
        const auto bytes = ReadBytes(absl::StrCat(model_dir, "/media/", name, ".png"));
        EXPECT_THAT(bytes, IsOk());
        auto image = DecodeImage(*bytes, ImageLimits());
        EXPECT_THAT(image, IsOk());
        const auto size = ResizedSize({image->height, image->width}, kImageBudget, PatchLayout());
        EXPECT_THAT(size, IsOk());
        images.push_back(ResizeBicubic(*std::move(image), *size));
        names->push_back(name);
      }
    }
    return images;
  }

  void ExpectRows(const std::string& name, const std::vector<float>& got, float tolerance) {
    const auto want = golden_->Rows(name);
    ASSERT_THAT(want, IsOk());
    EXPECT_LE(LargestDifference(got, want->values), tolerance) << name;
  }

  std::unique_ptr<MediaGolden> golden_;
  std::unique_ptr<Checkpoint> checkpoint_;
  std::unique_ptr<CpuBackend> backend_;
};

TEST_F(TowerGoldenTest, ResizedPixelsAreExactlyThoseOfTheReference) {
  std::vector<std::string> names;
  const std::vector<RgbImage> images = Images(&names);
  ASSERT_GE(images.size(), 6u);
  for (size_t i = 0; i < images.size(); ++i) {
    const bool whole = golden_->Has(names[i] + ".resized");
    const auto want = golden_->Bytes(names[i] + (whole ? ".resized" : ".resized_sha256"));
    ASSERT_THAT(want, IsOk());
    EXPECT_EQ(whole ? images[i].pixels : Sha256(images[i].pixels), *want) << names[i];
  }
}

TEST_F(TowerGoldenTest, ImagesBecomeTheSoftTokensOfTheReferenceAloneAndInABatch) {
  const auto config = LoadVisionConfig(model_dir);
  ASSERT_THAT(config, IsOk());
  const auto tower = VisionTower::Load(*config, *checkpoint_, ComputeMode::kF32, backend_.get());
  ASSERT_THAT(tower, IsOk());
  std::vector<std::string> names;
  const std::vector<RgbImage> images = Images(&names);
  const auto batch = (*tower)->Encode(images);
  ASSERT_THAT(batch, IsOk());
  ASSERT_EQ(batch->size(), images.size());
  for (size_t i = 0; i < images.size(); ++i) {
    ExpectRows(names[i] + ".tower", (*batch)[i].pooled, kSoftTolerance);
    ExpectRows(names[i] + ".soft", (*batch)[i].soft, kSoftTolerance);
    const auto alone = (*tower)->Encode({&images[i], 1});
    ASSERT_THAT(alone, IsOk());
    EXPECT_EQ((*alone)[0].soft, (*batch)[i].soft) << names[i];
  }
}

TEST_F(TowerGoldenTest, SoundBecomesTheFeaturesAndSoftTokensOfTheReference) {
  const auto config = LoadAudioConfig(model_dir);
  if (!golden_->Has("audio0.soft")) {
    EXPECT_THAT(config, StatusIs(absl::StatusCode::kFailedPrecondition,
                                 ::testing::HasSubstr("takes no audio")));
    return;
  }
  ASSERT_THAT(config, IsOk());
  const auto tower = AudioTower::Load(*config, *checkpoint_, ComputeMode::kF32, backend_.get());
  ASSERT_THAT(tower, IsOk());
  std::vector<std::vector<float>> clips;
  for (int i = 0; golden_->Has(absl::StrCat("audio", i, ".soft")); ++i) {
    const auto bytes = ReadBytes(absl::StrCat(model_dir, "/media/audio", i, ".wav"));
    ASSERT_THAT(bytes, IsOk());
    const auto samples = DecodeAudio(*bytes, AudioLimits());
    ASSERT_THAT(samples, IsOk());
    clips.push_back(MelFeatures(*samples));
    const auto mel = golden_->Rows(absl::StrCat("audio", i, ".mel"));
    ASSERT_THAT(mel, IsOk());
    // The reference's last rows may be of padding: zeros that we do not make.
    std::vector<float> valid = mel->values;
    ASSERT_LE(clips[i].size(), valid.size());
    valid.resize(clips[i].size());
    EXPECT_LE(LargestDifference(clips[i], valid), kMelTolerance) << "audio" << i;
  }
  const auto batch = (*tower)->Encode(clips);
  ASSERT_THAT(batch, IsOk());
  for (size_t i = 0; i < clips.size(); ++i) {
    ExpectRows(absl::StrCat("audio", i, ".tower"), (*batch)[i].tower, kSoftTolerance);
    ExpectRows(absl::StrCat("audio", i, ".soft"), (*batch)[i].soft, kSoftTolerance);
    const auto alone = (*tower)->Encode({&clips[i], 1});
    ASSERT_THAT(alone, IsOk());
    EXPECT_EQ((*alone)[0].soft, (*batch)[i].soft) << "audio" << i;
  }
}

}  // namespace
}  // namespace facet::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc < 2) {
    std::cerr << "usage: tower_golden_test CHECKPOINT_DIR\n";
    return 2;
  }
  facet::testing::model_dir = argv[1];
  return RUN_ALL_TESTS();
}
