#include "services/vision/image_pipeline.h"

#include <string>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/media/image_size.h"
#include "services/vision/testing/plain_png.h"
#include "services/vision/testing/video_files.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::PlainPng;
using testing::StatusIs;

absl::Status Wanted() { return absl::OkStatus(); }

TEST(ImagePipelineTest, NeedlesBannersAndSpecksStayWithinEveryBudget) {
  const ImageSize kSources[] = {{1, 1},    {1, 2},   {1, 3000},  {3000, 1}, {4, 900},
                                {2000, 5}, {49, 47}, {480, 640}, {700, 3}};
  for (const ImageSize& source : kSources) {
    internal::EncodeVisionRequest request;
    request.set_image(PlainPng(source.height, source.width));
    for (const int budget : kImageBudgets) {
      request.set_max_soft_tokens(budget);
      const auto media = PrepareMedia(request, VisionConfig(), MediaLimits(), Wanted);
      ASSERT_THAT(media, IsOk());
      ASSERT_EQ(media->images.size(), 1u);
      const RgbImage& image = media->images[0].image;
      EXPECT_EQ(image.height % 48, 0);
      EXPECT_EQ(image.width % 48, 0);
      const int tokens = image.height / 48 * (image.width / 48);
      EXPECT_GE(tokens, 1) << source.height << " x " << source.width << " at " << budget;
      EXPECT_LE(tokens, budget) << source.height << " x " << source.width;
      EXPECT_EQ(media->images[0].patches, 9 * tokens);
    }
  }
}

TEST(ImagePipelineTest, ImagesAndFramesHaveDefaultBudgetsOfTheirOwn) {
  internal::EncodeVisionRequest request;
  request.set_image("x");
  VisionConfig config;
  config.default_image_budget = 280;
  EXPECT_EQ(*ImageBudgetOf(request, config), 280);
  request.set_video("x");
  EXPECT_EQ(*ImageBudgetOf(request, config), 70);
  request.mutable_frames();
  EXPECT_EQ(*ImageBudgetOf(request, config), 70);
  request.set_max_soft_tokens(560);
  EXPECT_EQ(*ImageBudgetOf(request, config), 560);
}

TEST(ImagePipelineTest, AVideoGivesItsFramesWithTheirTimesAndItsLength) {
  const auto file = testing::MakeVideo({.frames = 6, .rate = 2});
  internal::EncodeVisionRequest request;
  request.set_video(std::string(file.begin(), file.end()));
  const auto media = PrepareMedia(request, VisionConfig(), MediaLimits(), Wanted);
  ASSERT_THAT(media, IsOk());
  EXPECT_EQ(media->seconds, 3);
  EXPECT_EQ(media->timestamp_seconds, (std::vector<double>{0, 0.5, 1, 1.5, 2, 2.5}));
  for (const PreparedImage& frame : media->images) {
    EXPECT_EQ(frame.patches, media->images[0].patches);
    EXPECT_LE(frame.patches, 9 * 70);
  }
}

TEST(ImagePipelineTest, TheBytesOfAllFramesTogetherAreLimited) {
  internal::EncodeVisionRequest request;
  const std::string image = PlainPng(48, 48);
  for (int i = 0; i < 3; ++i) {
    request.mutable_frames()->add_images(image);
    request.mutable_frames()->add_timestamp_seconds(i);
  }
  MediaLimits limits;
  limits.max_bytes = 3 * static_cast<int64_t>(image.size());
  EXPECT_THAT(PrepareMedia(request, VisionConfig(), limits, Wanted), IsOk());
  --limits.max_bytes;
  EXPECT_THAT(PrepareMedia(request, VisionConfig(), limits, Wanted),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("bytes, at most")));
}

}  // namespace
}  // namespace facet
