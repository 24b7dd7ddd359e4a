#include "router/media/media_validator.h"

#include <functional>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router/testing/test_model.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::MakeTestModel;

// Sees, and does not hear.
std::unique_ptr<ServedModel> SeeingModel() {
  std::unique_ptr<ServedModel> model = MakeTestModel(/*with_tokenizer=*/false);
  model->config.has_vision = true;
  model->config.image_token_id = 10;
  model->config.video_token_id = 11;
  model->config.audio_token_id = 12;
  model->config.begin_image_token_id = 13;
  model->config.end_image_token_id = 14;
  return model;
}

struct Case {
  const char* name;
  std::function<void(v1::Media*)> change;
  absl::StatusCode code;
  const char* message;
};
class MediaValidatorTest : public ::testing::TestWithParam<Case> {};

TEST_P(MediaValidatorTest, RefusesWithTheFieldAndWhatIsAllowed) {
  const auto model = SeeingModel();
  v1::Media media;
  media.set_kind(v1::Media::IMAGE);
  media.set_data("bytes");
  ASSERT_THAT(ValidateMedia(*model, 8, {{&media, "media[0]"}}), IsOk());
  GetParam().change(&media);
  const absl::Status status = ValidateMedia(*model, 8, {{&media, "media[0]"}});
  EXPECT_EQ(status.code(), GetParam().code);
  EXPECT_THAT(status.message(), HasSubstr(GetParam().message));
}

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

INSTANTIATE_TEST_SUITE_P(
    Cases, MediaValidatorTest,
    ::testing::ValuesIn(std::vector<Case>{
        {"no_kind", [](v1::Media* m) { m->clear_kind(); }, kInvalid, "media[0].kind is 0; allowed"},
        {"kind_that_the_model_lacks", [](v1::Media* m) { m->set_kind(v1::Media::AUDIO); }, kInvalid,
         "model 'test-model' takes images, video"},
        {"no_source", [](v1::Media* m) { m->clear_data(); }, kInvalid, "no source"},
        {"empty_data", [](v1::Media* m) { m->set_data(""); }, kInvalid, "media[0].data is empty"},
        {"empty_url", [](v1::Media* m) { m->set_url(""); }, kInvalid, "media[0].url is empty"},
        {"too_large", [](v1::Media* m) { m->set_data("nine byte"); }, kInvalid,
         "have 9 bytes; at most 8"},
        {"budget", [](v1::Media* m) { m->set_max_soft_tokens(100); }, kInvalid,
         "max_soft_tokens is 100; allowed: 70, 140, 280, 560, 1120"},
        {"split_image", [](v1::Media* m) { m->set_split_long_audio(true); }, kInvalid,
         "split_long_audio"},
        {"frames_of_an_image", [](v1::Media* m) { m->mutable_frames()->add_images("a"); }, kInvalid,
         "kind VIDEO"},
        {"frames_without_times",
         [](v1::Media* m) {
           m->set_kind(v1::Media::VIDEO);
           m->mutable_frames()->add_images("a");
         },
         kInvalid, "1 images and 0 timestamp_seconds"},
        {"frame_before_the_beginning",
         [](v1::Media* m) {
           m->set_kind(v1::Media::VIDEO);
           m->mutable_frames()->add_images("a");
           m->mutable_frames()->add_timestamp_seconds(-1);
         },
         kInvalid, "timestamp_seconds[0] is -1"},
        {"video_file_without_a_tokenizer", [](v1::Media* m) { m->set_kind(v1::Media::VIDEO); },
         absl::StatusCode::kFailedPrecondition, "has no tokenizer.json"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(MediaValidator, TheMediaOfARequestShareTheBytes) {
  const auto model = SeeingModel();
  v1::Media media;
  media.set_kind(v1::Media::IMAGE);
  media.set_data("12345");
  EXPECT_THAT(ValidateMedia(*model, 10, {{&media, "a"}, {&media, "b"}}), IsOk());
  EXPECT_EQ(ValidateMedia(*model, 9, {{&media, "a"}, {&media, "b"}}).code(), kInvalid);
}

}  // namespace
}  // namespace facet
