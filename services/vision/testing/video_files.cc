#include "services/vision/testing/video_files.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
}

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "gtest/gtest.h"

namespace facet::testing {
namespace {

// One file that is being written; every step that fails fails the test.
class VideoWriter {
 public:
  VideoWriter(const VideoSpec& spec, const std::string& path) : spec_(spec) {
    Check(avformat_alloc_output_context2(&format_, nullptr, spec.container.c_str(), path.c_str()));
    const AVCodec* const codec = avcodec_find_encoder_by_name(spec.codec.c_str());
    if (codec == nullptr) {
      ADD_FAILURE() << "FFmpeg has no encoder " << spec.codec;
      return;
    }
    codec_ = avcodec_alloc_context3(codec);
    codec_->width = spec.width;
    codec_->height = spec.height;
    codec_->pix_fmt = AV_PIX_FMT_YUV420P;
    codec_->time_base = {spec.rate_base, spec.rate};
    codec_->framerate = {spec.rate, spec.rate_base};
    codec_->bit_rate = 400000;
    codec_->thread_count = 1;
    if ((format_->oformat->flags & AVFMT_GLOBALHEADER) != 0) {
      codec_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    }
    Check(avcodec_open2(codec_, codec, nullptr));
    stream_ = avformat_new_stream(format_, nullptr);
    stream_->time_base = codec_->time_base;
    stream_->avg_frame_rate = codec_->framerate;
    Check(avcodec_parameters_from_context(stream_->codecpar, codec_));
    if (spec.turn != 0) AddTurn();
    Check(avio_open(&format_->pb, path.c_str(), AVIO_FLAG_WRITE));
    Check(avformat_write_header(format_, nullptr));
    frame_ = av_frame_alloc();
    frame_->format = codec_->pix_fmt;
    frame_->width = spec.width;
    frame_->height = spec.height;
    Check(av_frame_get_buffer(frame_, 0));
    packet_ = av_packet_alloc();
  }

  ~VideoWriter() {
    av_packet_free(&packet_);
    av_frame_free(&frame_);
    avcodec_free_context(&codec_);
    if (format_ != nullptr) avio_closep(&format_->pb);
    avformat_free_context(format_);
  }

  void WriteAll() {
    for (int i = 0; i < spec_.frames; ++i) {
      Check(av_frame_make_writable(frame_));
      for (int plane = 0; plane < 3; ++plane) {
        const int rows = plane == 0 ? spec_.height : spec_.height / 2;
        std::fill_n(frame_->data[plane], frame_->linesize[plane] * rows,
                    static_cast<uint8_t>(plane == 0 ? LumaOfFrame(i) : 128));
      }
      frame_->pts = i;
      Encode(frame_);
    }
    Encode(nullptr);
    Check(av_write_trailer(format_));
  }

 private:
  static void Check(int error) { EXPECT_GE(error, 0); }

  void AddTurn() {
    auto* const matrix = reinterpret_cast<int32_t*>(
        av_stream_new_side_data(stream_, AV_PKT_DATA_DISPLAYMATRIX, 9 * sizeof(int32_t)));
    av_display_rotation_set(matrix, spec_.turn);
  }

  void Encode(const AVFrame* frame) {
    Check(avcodec_send_frame(codec_, frame));
    while (avcodec_receive_packet(codec_, packet_) >= 0) {
      packet_->stream_index = stream_->index;
      if (packet_->duration == 0) packet_->duration = 1;
      av_packet_rescale_ts(packet_, codec_->time_base, stream_->time_base);
      Check(av_interleaved_write_frame(format_, packet_));
    }
  }

  const VideoSpec& spec_;
  AVFormatContext* format_ = nullptr;
  AVCodecContext* codec_ = nullptr;
  AVStream* stream_ = nullptr;
  AVFrame* frame_ = nullptr;
  AVPacket* packet_ = nullptr;
};

}  // namespace

int LumaOfFrame(int i) { return 16 + i * 5 % 220; }

std::vector<uint8_t> MakeVideo(const VideoSpec& spec) {
  av_log_set_level(AV_LOG_QUIET);
  const char* const folder = std::getenv("TEST_TMPDIR");
  std::string path = std::string(folder != nullptr ? folder : "/tmp") + "/video.XXXXXX";
  const int fd = mkstemp(path.data());
  EXPECT_GE(fd, 0);
  close(fd);
  {
    VideoWriter writer(spec, path);
    if (!::testing::Test::HasFailure()) writer.WriteAll();
  }
  std::ifstream in(path, std::ios::binary);
  std::vector<uint8_t> bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  unlink(path.c_str());
  return bytes;
}

}  // namespace facet::testing
