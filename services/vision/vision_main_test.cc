// The vision encoder as a process, called as the router calls it.

#include <signal.h>

#include <chrono>
#include <cmath>
#include <future>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/facet/internal/encoder.grpc.pb.h"
#include "services/encoder/testing/running_encoder.h"
#include "services/vision/testing/plain_png.h"
#include "tests/golden/media/media_golden.h"
#include "tests/testing/health_client.h"

namespace facet::testing {
namespace {

using ::testing::HasSubstr;

constexpr char kBinary[] = "services/vision/vision_main";
constexpr char kPle[] = "tests/golden/media/ple";
constexpr char kDense[] = "tests/golden/media/dense";
constexpr float kTolerance = 2e-4f;
constexpr float kBfloat16Tolerance = 0.15f;  // of values up to 4

using Answer = internal::EncodeVisionResponse;

std::string FileBytes(const std::string& path) {
  const auto bytes = ReadBytes(path);
  EXPECT_THAT(bytes, IsOk());
  return {bytes->begin(), bytes->end()};
}

internal::EncodeVisionRequest ImageRequest(const std::string& bytes, int budget = 0) {
  internal::EncodeVisionRequest request;
  request.set_image(bytes);
  request.set_max_soft_tokens(budget);
  return request;
}

class VisionMainTest : public ::testing::Test {
 protected:
  void Start(const std::string& model, const std::vector<std::string>& flags = {}) {
    auto encoder = RunningEncoder::Start(kBinary, model, flags);
    ASSERT_THAT(encoder, IsOk());
    encoder_ = *std::move(encoder);
    stub_ = internal::VisionEncoder::NewStub(encoder_->channel());
    auto golden = MediaGolden::Load(model);
    ASSERT_THAT(golden, IsOk());
    golden_ = std::make_unique<MediaGolden>(*std::move(golden));
  }

  grpc::Status Encode(const internal::EncodeVisionRequest& request, Answer* answer) {
    return stub_->Encode(PatientContext().get(), request, answer);
  }
  Answer Encoded(const internal::EncodeVisionRequest& request) {
    Answer answer;
    const grpc::Status status = Encode(request, &answer);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return answer;
  }

  void ExpectGolden(const std::string& name, const internal::SoftTokens& soft, float tolerance) {
    const auto want = golden_->Rows(name + ".soft");
    ASSERT_THAT(want, IsOk());
    EXPECT_EQ(soft.count(), want->rows) << name;
    EXPECT_LE(LargestDifference(RowsOf(soft), want->values), tolerance) << name;
  }

  std::unique_ptr<RunningEncoder> encoder_;
  std::unique_ptr<internal::VisionEncoder::Stub> stub_;
  std::unique_ptr<MediaGolden> golden_;
};

TEST_F(VisionMainTest, ImagesBecomeTheSoftTokensOfTheReferenceAndAreRemembered) {
  for (const char* model : {kPle, kDense}) {
    Start(model);
    for (int i = 0; i < 6; ++i) {
      const auto request = ImageRequest(FileBytes(absl::StrCat(model, "/media/image", i, ".png")));
      const Answer answer = Encoded(request);
      ASSERT_EQ(answer.images_size(), 1);
      EXPECT_FALSE(answer.cached());
      EXPECT_EQ(answer.images(0).soft().dtype(), "f32");
      ExpectGolden(absl::StrCat("image", i), answer.images(0).soft(), kTolerance);
      const Answer again = Encoded(request);
      EXPECT_TRUE(again.cached());
      EXPECT_EQ(again.images(0).soft().rows(), answer.images(0).soft().rows());
    }
    EXPECT_EQ(encoder_->Metric("facet_encoder_cache_hits_total"), 6);
    EXPECT_EQ(encoder_->Metric("facet_encoder_cache_misses_total"), 6);
    EXPECT_EQ(encoder_->Metric("facet_encoder_images_total"), 6);
    EXPECT_EQ(encoder_->Metric("facet_encoder_requests_total{code=\"OK\"}"), 12);
    EXPECT_EQ(encoder_->Metric("facet_encoder_queue_depth"), 0);
    EXPECT_EQ(encoder_->Metric("facet_encoder_requests_in_flight"), 0);
    EXPECT_GT(encoder_->Metric("facet_encoder_cache_bytes"), 6 * 50 * 32 * 4);
    EXPECT_EQ(encoder_->Metric("facet_encoder_decode_seconds_count"), 6);
  }
}

TEST_F(VisionMainTest, AnotherBudgetIsAnotherResult) {
  Start(kPle);
  const std::string image = FileBytes(absl::StrCat(kPle, "/media/image5.png"));  // a square
  int last = 0;
  for (const int budget : {70, 140}) {
    const Answer answer = Encoded(ImageRequest(image, budget));
    EXPECT_FALSE(answer.cached());
    EXPECT_GT(answer.images(0).soft().count(), last);
    EXPECT_LE(answer.images(0).soft().count(), budget);
    last = answer.images(0).soft().count();
  }
}

TEST_F(VisionMainTest, InBfloat16TheRowsTravelAsBfloat16) {
  Start(kDense, {"--dtype=bf16"});
  internal::EncoderInfo info;
  ASSERT_TRUE(stub_->GetInfo(PatientContext().get(), {}, &info).ok());
  EXPECT_EQ(info.dtype(), "bf16");
  const Answer answer = Encoded(ImageRequest(FileBytes(absl::StrCat(kDense, "/media/image0.png"))));
  const internal::SoftTokens& soft = answer.images(0).soft();
  EXPECT_EQ(soft.dtype(), "bf16");
  EXPECT_EQ(soft.rows().size(), static_cast<size_t>(soft.count()) * info.hidden_size() * 2);
  ExpectGolden("image0", soft, kBfloat16Tolerance);
}

TEST_F(VisionMainTest, FramesKeepTheirOrderAndTheirTimes) {
  Start(kPle);
  internal::EncodeVisionRequest request;
  for (const char* name : {"frame1", "frame0", "frame1"}) {
    request.mutable_frames()->add_images(FileBytes(absl::StrCat(kPle, "/media/", name, ".png")));
  }
  for (const double time : {0.0, 1.5, 61.0}) request.mutable_frames()->add_timestamp_seconds(time);
  const Answer answer = Encoded(request);
  ASSERT_EQ(answer.images_size(), 3);
  ExpectGolden("frame1", answer.images(0).soft(), kTolerance);
  ExpectGolden("frame0", answer.images(1).soft(), kTolerance);
  ExpectGolden("frame1", answer.images(2).soft(), kTolerance);
  EXPECT_EQ(answer.images(1).timestamp_seconds(), 1.5);
  EXPECT_EQ(answer.images(2).timestamp_seconds(), 61.0);
}

TEST_F(VisionMainTest, SaysWhatItIsAndThatItIsReady) {
  Start(kPle, {"--max_media_bytes=5MiB"});
  internal::EncoderInfo info;
  ASSERT_TRUE(stub_->GetInfo(PatientContext().get(), {}, &info).ok());
  EXPECT_EQ(info.model_name(), "ple");
  EXPECT_EQ(info.hidden_size(), 32);
  EXPECT_EQ(info.dtype(), "f32");
  EXPECT_EQ(info.max_media_bytes(), 5 << 20);
  EXPECT_FALSE(info.fingerprint().empty());
  HealthClient health(encoder_->ports().grpc_address());
  EXPECT_EQ(health.Check("facet.internal.VisionEncoder"), "SERVING");
  EXPECT_EQ(health.Check("liveness"), "SERVING");
}

TEST_F(VisionMainTest, BadInputIsNamedAndNothingOfItIsRemembered) {
  Start(kPle);
  const std::string image = FileBytes(absl::StrCat(kPle, "/media/image0.png"));
  struct Case {
    internal::EncodeVisionRequest request;
    const char* message;
  };
  std::vector<Case> cases = {
      {{}, "no image, video or frames"},
      {ImageRequest(""), "the image has no bytes"},
      {ImageRequest("not an image"), "JPEG, PNG, WebP, GIF"},
      {ImageRequest(image.substr(0, image.size() / 2)), "the PNG cannot be decoded"},
      {ImageRequest(image, 71), "max_soft_tokens is 71; allowed: 70, 140, 280, 560, 1120"},
      {ImageRequest(image, -70), "max_soft_tokens is -70"},
      {{}, "the video has no bytes"},
      {{}, "the video cannot be read"},
      {{}, "frames has no images"},
      {{}, "frames has 1 images and 0 timestamps"},
      {{}, "frames.timestamp_seconds[0] is nan"},
      {{}, "frames.images[1]: the image is in none of the formats"},
  };
  cases[6].request.set_video("");
  cases[7].request.set_video(image.substr(0, 500) + std::string(5000, 'x'));
  cases[8].request.mutable_frames();
  cases[9].request.mutable_frames()->add_images(image);
  cases[10].request.mutable_frames()->add_images(image);
  cases[10].request.mutable_frames()->add_timestamp_seconds(std::nan(""));
  for (const std::string& frame : {image, std::string("x")}) {
    cases[11].request.mutable_frames()->add_images(frame);
    cases[11].request.mutable_frames()->add_timestamp_seconds(0);
  }
  for (const Case& c : cases) {
    for (int round = 0; round < 2; ++round) {
      Answer answer;
      const grpc::Status status = Encode(c.request, &answer);
      EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << c.message;
      EXPECT_THAT(status.error_message(), HasSubstr(c.message));
    }
  }
  EXPECT_EQ(encoder_->Metric("facet_encoder_cache_bytes"), 0);
  EXPECT_EQ(encoder_->Metric("facet_encoder_requests_total{code=\"INVALID_ARGUMENT\"}"),
            2.0 * static_cast<double>(cases.size()));
}

TEST_F(VisionMainTest, OfNineImagesAtOnceTheCorruptOneFailsAlone) {
  Start(kPle, {"--cache_bytes=0"});
  std::vector<std::future<grpc::Status>> calls;
  std::vector<Answer> answers(9);
  for (int i = 0; i < 9; ++i) {
    std::string bytes = FileBytes(absl::StrCat(kPle, "/media/image", i % 6, ".png"));
    if (i == 4) bytes.resize(bytes.size() - 40);
    calls.push_back(std::async(std::launch::async, [this, &answers, bytes, i] {
      return Encode(ImageRequest(bytes), &answers[i]);
    }));
  }
  for (int i = 0; i < 9; ++i) {
    const grpc::Status status = calls[i].get();
    if (i == 4) {
      EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
      continue;
    }
    ASSERT_TRUE(status.ok()) << status.error_message();
    ExpectGolden(absl::StrCat("image", i % 6), answers[i].images(0).soft(), kTolerance);
  }
}

TEST_F(VisionMainTest, MoreAtOnceThanAllowedIsRefusedWithTheTimeToComeAgain) {
  Start(kPle, {"--max_requests=1", "--cache_bytes=0"});
  internal::EncodeVisionRequest request;
  const std::string frame = FileBytes(absl::StrCat(kPle, "/media/image1.png"));
  for (int i = 0; i < 32; ++i) {
    request.mutable_frames()->add_images(frame);
    request.mutable_frames()->add_timestamp_seconds(i);
  }
  // Of several at once, one is in at any time; it takes longer than the others need to arrive.
  int refused = 0, served = 0;
  std::vector<std::future<grpc::Status>> calls;
  std::vector<Answer> answers(6);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  for (Answer& answer : answers) {
    contexts.push_back(PatientContext());
    calls.push_back(
        std::async(std::launch::async, [this, &request, &answer, context = contexts.back().get()] {
          return stub_->Encode(context, request, &answer);
        }));
  }
  for (size_t i = 0; i < calls.size(); ++i) {
    const grpc::Status status = calls[i].get();
    served += status.ok() ? 1 : 0;
    if (status.ok()) continue;
    ++refused;
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_THAT(status.error_message(), HasSubstr("the encoder is full"));
    EXPECT_EQ(contexts[i]->GetServerTrailingMetadata().count("retry-after-ms"), 1u);
  }
  EXPECT_GE(served, 1);
  EXPECT_GE(refused, 1);
  EXPECT_EQ(encoder_->Metric("facet_encoder_requests_in_flight"), 0);
}

TEST_F(VisionMainTest, AnImageOf12MegabytesIsTaken) {
  Start(kPle);
  const std::string image = PlainPng(2000, 2000);
  ASSERT_GT(image.size(), 12'000'000u);
  EXPECT_EQ(Encoded(ImageRequest(image)).images(0).soft().count(), 64);
}

TEST_F(VisionMainTest, AFileAtTheLimitIsTakenAndOneByteMoreIsRefused) {
  const std::string image = PlainPng(300, 400);
  const auto size = static_cast<int64_t>(image.size());
  Start(kPle, {absl::StrCat("--max_media_bytes=", size)});
  EXPECT_EQ(Encoded(ImageRequest(image)).images_size(), 1);
  Answer answer;
  grpc::Status status = Encode(ImageRequest(image + "x"), &answer);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(),
              HasSubstr(absl::StrCat("has ", size + 1, " bytes, at most ", size)));
  // Far above it the message is not even read.
  status = Encode(ImageRequest(image + std::string(8 << 20, 'x')), &answer);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("larger than max"));
}

TEST_F(VisionMainTest, ADeadlineOrACancelThatComesFirstEndsTheCallAndFreesItsPlace) {
  Start(kPle, {"--max_requests=1", "--cache_bytes=0"});
  internal::EncodeVisionRequest request;
  const std::string frame = FileBytes(absl::StrCat(kPle, "/media/image1.png"));
  for (int i = 0; i < 64; ++i) {
    request.mutable_frames()->add_images(frame);
    request.mutable_frames()->add_timestamp_seconds(i);
  }
  Answer answer;
  grpc::ClientContext late;
  late.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(20));
  EXPECT_EQ(stub_->Encode(&late, request, &answer).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  // The place comes free long before 64 frames would have been computed.
  const auto image = ImageRequest(frame);
  grpc::Status status;
  for (int i = 0; i < 600; ++i) {
    status = Encode(image, &answer);
    if (status.error_code() != grpc::StatusCode::RESOURCE_EXHAUSTED) break;
    absl::SleepFor(absl::Milliseconds(50));
  }
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(encoder_->Metric("facet_encoder_images_total"), 1);
}

TEST_F(VisionMainTest, AfterSigtermItSaysSoAndEndsInOrder) {
  Start(kPle, {"--drain_delay=1s"});
  HealthClient health(encoder_->ports().grpc_address());
  encoder_->process().Signal(SIGTERM);
  EXPECT_TRUE(health.WaitFor("readiness", "NOT_SERVING", absl::Seconds(20)));
  const auto exit_status = encoder_->process().WaitForExit(absl::Seconds(60));
  ASSERT_THAT(exit_status, IsOk());
  EXPECT_EQ(*exit_status, 0);
}

TEST_F(VisionMainTest, KilledAndStartedAgainItServesTheSameChannel) {
  Start(kPle);
  const auto request = ImageRequest(FileBytes(absl::StrCat(kPle, "/media/image0.png")));
  const Answer before = Encoded(request);
  encoder_->process().Signal(SIGKILL);
  ASSERT_THAT(encoder_->process().WaitForExit(absl::Seconds(20)), IsOk());
  Answer answer;
  EXPECT_EQ(Encode(request, &answer).error_code(), grpc::StatusCode::UNAVAILABLE);
  auto next = RunningEncoder::Start(kBinary, kPle,
                                    {absl::StrCat("--listen=", encoder_->ports().grpc_address())});
  ASSERT_THAT(next, IsOk());
  const auto context = PatientContext();
  context->set_wait_for_ready(true);
  const grpc::Status status = stub_->Encode(context.get(), request, &answer);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(answer.images(0).soft().rows(), before.images(0).soft().rows());
}

TEST(VisionMainStartTest, WrongFlagsAndModelsAreNamed) {
  struct Case {
    std::vector<std::string> flags;
    int exit_status;
    const char* message;
  };
  for (const Case& c : std::vector<Case>{
           {{}, 2, "--model is not set"},
           {{"--model=tests/golden/media/ple", "--dtype=f16"}, 2, "--dtype is 'f16'"},
           {{"--model=tests/golden/media/ple", "--max_requests=0"}, 2, "--max_requests is 0"},
           {{"--model=tests/golden/media/none"}, 1, "config.json"},
           {{"--model=tests/golden/dense"}, 1, "no vision_config: it takes no images"}}) {
    std::vector<std::string> argv = {BinaryPath(kBinary), "--listen=127.0.0.1:0"};
    argv.insert(argv.end(), c.flags.begin(), c.flags.end());
    auto process = ChildProcess::Start({.argv = argv});
    ASSERT_THAT(process, IsOk());
    const auto exit_status = (*process)->WaitForExit(absl::Seconds(60));
    ASSERT_THAT(exit_status, IsOk());
    EXPECT_EQ(*exit_status, c.exit_status) << c.message;
    EXPECT_THAT((*process)->Output(), HasSubstr(c.message));
  }
}

}  // namespace
}  // namespace facet::testing
