// The audio encoder as a process, called as the router calls it.

#include <signal.h>
#include <sndfile.h>

#include <future>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/facet/internal/encoder.grpc.pb.h"
#include "services/audio/testing/audio_files.h"
#include "services/encoder/testing/running_encoder.h"
#include "tests/golden/media/media_golden.h"
#include "tests/testing/health_client.h"

namespace facet::testing {
namespace {

using ::testing::HasSubstr;

constexpr char kBinary[] = "services/audio/audio_main";
constexpr char kModel[] = "tests/golden/media/ple";
constexpr float kTolerance = 2e-4f;
constexpr int kWav = SF_FORMAT_WAV | SF_FORMAT_PCM_16;

using Answer = internal::EncodeAudioResponse;

internal::EncodeAudioRequest AudioRequest(const std::vector<uint8_t>& bytes, bool split = false) {
  internal::EncodeAudioRequest request;
  request.set_audio(std::string(bytes.begin(), bytes.end()));
  request.set_split(split);
  return request;
}

internal::EncodeAudioRequest ToneRequest(int format, int rate, int channels, int64_t frames,
                                         bool split = false) {
  return AudioRequest(WriteAudio(format, rate, channels, Tone(440, rate, channels, frames)), split);
}

class AudioMainTest : public ::testing::Test {
 protected:
  void Start(const std::vector<std::string>& flags = {}) {
    auto encoder = RunningEncoder::Start(kBinary, kModel, flags);
    ASSERT_THAT(encoder, IsOk());
    encoder_ = *std::move(encoder);
    stub_ = internal::AudioEncoder::NewStub(encoder_->channel());
    auto golden = MediaGolden::Load(kModel);
    ASSERT_THAT(golden, IsOk());
    golden_ = std::make_unique<MediaGolden>(*std::move(golden));
  }

  grpc::Status Encode(const internal::EncodeAudioRequest& request, Answer* answer) {
    return stub_->Encode(PatientContext().get(), request, answer);
  }
  Answer Encoded(const internal::EncodeAudioRequest& request) {
    Answer answer;
    const grpc::Status status = Encode(request, &answer);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return answer;
  }
  Answer EncodedClip(int number) {
    const auto bytes = ReadBytes(absl::StrCat(kModel, "/media/audio", number, ".wav"));
    EXPECT_THAT(bytes, IsOk());
    return Encoded(AudioRequest(*bytes));
  }

  float Error(int number, const internal::SoftTokens& soft) {
    const auto want = golden_->Rows(absl::StrCat("audio", number, ".soft"));
    EXPECT_THAT(want, IsOk());
    EXPECT_EQ(soft.count(), want->rows);
    return LargestDifference(RowsOf(soft), want->values);
  }

  std::unique_ptr<RunningEncoder> encoder_;
  std::unique_ptr<internal::AudioEncoder::Stub> stub_;
  std::unique_ptr<MediaGolden> golden_;
};

TEST_F(AudioMainTest, SoundBecomesTheSoftTokensOfTheReferenceAndIsRemembered) {
  Start();
  for (int i = 0; i < 3; ++i) {
    const Answer answer = EncodedClip(i);
    ASSERT_EQ(answer.pieces_size(), 1);
    EXPECT_FALSE(answer.cached());
    EXPECT_LE(Error(i, answer.pieces(0)), kTolerance) << i;
    const Answer again = EncodedClip(i);
    EXPECT_TRUE(again.cached());
    EXPECT_EQ(again.pieces(0).rows(), answer.pieces(0).rows());
    EXPECT_EQ(again.seconds(), answer.seconds());
  }
  EXPECT_NEAR(encoder_->Metric("facet_encoder_audio_seconds_total"), (161 + 6400 + 17777) / 16000.0,
              1e-3);
  EXPECT_EQ(encoder_->Metric("facet_encoder_soft_tokens_total"), 1 + 10 + 28);
  EXPECT_EQ(encoder_->Metric("facet_encoder_cache_hits_total"), 3);
}

TEST_F(AudioMainTest, AKeyMoreToTheLeftIsAnotherResult) {
  Start({"--audio_left_context=13"});
  EXPECT_LE(Error(1, EncodedClip(1).pieces(0)), kTolerance);  // 10 frames: shorter than either
  EXPECT_GT(Error(2, EncodedClip(2).pieces(0)), 100 * kTolerance);
}

TEST_F(AudioMainTest, ThreeRoundsInDifferentFormatsGiveTheCountsOfTheirLength) {
  Start();
  for (int round = 0; round < 3; ++round) {
    for (const int channels : {1, 2}) {
      for (const int rate : {8000, 16000, 44100}) {
        const int64_t frames = int64_t{rate} * (round + 1);
        for (const int format : {kWav, SF_FORMAT_FLAC | SF_FORMAT_PCM_16}) {
          const Answer answer = Encoded(ToneRequest(format, rate, channels, frames));
          EXPECT_EQ(answer.pieces(0).count(), 25 * (round + 1)) << rate << " " << channels;
          EXPECT_EQ(answer.seconds(), round + 1);
        }
        // MP3 pads with up to a few of its frames of 1152 samples.
        const Answer mp3 =
            Encoded(ToneRequest(SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, rate, channels, frames));
        EXPECT_GE(mp3.pieces(0).count(), 25 * (round + 1)) << rate << " " << channels;
        EXPECT_LE(mp3.pieces(0).count(), 25 * (round + 1) + 8) << rate << " " << channels;
      }
    }
  }
}

TEST_F(AudioMainTest, MoreThanThirtySecondsAreRefusedOrCutAsAsked) {
  Start();
  EXPECT_EQ(Encoded(ToneRequest(kWav, 16000, 1, 480000)).pieces(0).count(), 750);
  Answer answer;
  const grpc::Status status = Encode(ToneRequest(kWav, 16000, 1, 496000), &answer);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("31.00 seconds long; at most 30"));
  answer = Encoded(ToneRequest(kWav, 16000, 1, 496000, /*split=*/true));
  ASSERT_EQ(answer.pieces_size(), 2);
  EXPECT_EQ(answer.pieces(0).count(), 750);
  EXPECT_EQ(answer.pieces(1).count(), 25);
  EXPECT_EQ(answer.seconds(), 31);
}

TEST_F(AudioMainTest, BadInputIsNamed) {
  Start();
  const auto good = WriteAudio(kWav, 16000, 1, Tone(440, 16000, 1, 161));
  EXPECT_EQ(Encoded(AudioRequest(good)).pieces(0).count(), 1);
  struct Case {
    std::vector<uint8_t> bytes;
    const char* message;
  };
  for (const Case& c : std::vector<Case>{
           {{}, "the audio has no bytes"},
           {{'h', 'e', 'l', 'l', 'o'}, "cannot be read as WAV, FLAC, MP3 or Ogg"},
           {WriteAudio(kWav, 16000, 1, Tone(440, 16000, 1, 160)), "has 160 samples"},
           {WriteAudio(kWav, 16000, 1, {}), "has 0 samples at 16000 a second; at least 161"}}) {
    Answer answer;
    const grpc::Status status = Encode(AudioRequest(c.bytes), &answer);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << c.message;
    EXPECT_THAT(status.error_message(), HasSubstr(c.message));
  }
}

TEST_F(AudioMainTest, OfNineClipsAtOnceTheCorruptOneFailsAlone) {
  Start({"--cache_bytes=0"});
  std::vector<std::future<grpc::Status>> calls;
  std::vector<Answer> answers(9);
  for (int i = 0; i < 9; ++i) {
    auto bytes = ReadBytes(absl::StrCat(kModel, "/media/audio", i % 3, ".wav"));
    ASSERT_THAT(bytes, IsOk());
    if (i == 4) bytes->resize(20);
    calls.push_back(std::async(std::launch::async, [this, &answers, request = AudioRequest(*bytes),
                                                    i] { return Encode(request, &answers[i]); }));
  }
  for (int i = 0; i < 9; ++i) {
    const grpc::Status status = calls[i].get();
    if (i == 4) {
      EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
      continue;
    }
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_LE(Error(i % 3, answers[i].pieces(0)), kTolerance) << i;
  }
}

TEST_F(AudioMainTest, SaysWhatItIsAndEndsInOrderAfterSigterm) {
  Start({"--dtype=bf16", "--model_name=ears"});
  internal::EncoderInfo info;
  ASSERT_TRUE(stub_->GetInfo(PatientContext().get(), {}, &info).ok());
  EXPECT_EQ(info.model_name(), "ears");
  EXPECT_EQ(info.hidden_size(), 32);
  EXPECT_EQ(info.dtype(), "bf16");
  EXPECT_EQ(EncodedClip(1).pieces(0).rows().size(), 10u * 32 * 2);
  HealthClient health(encoder_->ports().grpc_address());
  EXPECT_EQ(health.Check("facet.internal.AudioEncoder"), "SERVING");
  encoder_->process().Signal(SIGTERM);
  const auto exit_status = encoder_->process().WaitForExit(absl::Seconds(60));
  ASSERT_THAT(exit_status, IsOk());
  EXPECT_EQ(*exit_status, 0);
}

TEST(AudioMainStartTest, AModelWithoutAudioAndWrongFlagsAreNamed) {
  struct Case {
    std::vector<std::string> flags;
    int exit_status;
    const char* message;
  };
  for (const Case& c : std::vector<Case>{
           {{"--model=tests/golden/media/dense"}, 1, "no audio_config: it takes no audio"},
           {{"--model=tests/golden/media/ple", "--audio_left_context=11"},
            1,
            "--audio_left_context is 11; allowed: 12, 13"},
           {{}, 2, "--model is not set"}}) {
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
