#include "services/vision/video_decoder.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/mem.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "services/vision/exif_orientation.h"

namespace facet {
namespace {

constexpr double kUnknownRate = 24;  // frames a second
constexpr int kIoBuffer = 64 << 10;
// Of FFmpeg at once: a plane of the largest frame, not a table of samples that a file only
// promises.
constexpr size_t kMaxAllocation = size_t{128} << 20;

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* pointer) const {
    Free(&pointer);
  }
};
using Packet = std::unique_ptr<AVPacket, Deleter<av_packet_free>>;
using Frame = std::unique_ptr<AVFrame, Deleter<av_frame_free>>;
using Codec = std::unique_ptr<AVCodecContext, Deleter<avcodec_free_context>>;
using Format = std::unique_ptr<AVFormatContext, Deleter<avformat_close_input>>;
struct FreeScaler {
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
};
using Scaler = std::unique_ptr<SwsContext, FreeScaler>;

absl::Status Unreadable(const std::string& what, int error) {
  char reason[AV_ERROR_MAX_STRING_SIZE] = "";
  av_strerror(error, reason, sizeof(reason));
  return absl::InvalidArgumentError(absl::StrCat("the video cannot be read: ", what, ": ", reason));
}

// The file's bytes as FFmpeg reads them.
class MemoryIo {
 public:
  explicit MemoryIo(absl::Span<const uint8_t> bytes) : bytes_(bytes) {
    auto* const buffer = static_cast<uint8_t*>(av_malloc(kIoBuffer));
    if (buffer != nullptr) {
      context_ = avio_alloc_context(buffer, kIoBuffer, 0, this, Read, nullptr, Seek);
    }
  }
  ~MemoryIo() {
    if (context_ != nullptr) av_freep(&context_->buffer);
    avio_context_free(&context_);
  }
  MemoryIo(const MemoryIo&) = delete;
  MemoryIo& operator=(const MemoryIo&) = delete;

  AVIOContext* context() const { return context_; }

 private:
  static int Read(void* opaque, uint8_t* to, int count) {
    auto* const self = static_cast<MemoryIo*>(opaque);
    const auto left = static_cast<int64_t>(self->bytes_.size()) - self->place_;
    if (left <= 0) return AVERROR_EOF;
    const auto taken = static_cast<int>(std::min<int64_t>(count, left));
    std::memcpy(to, self->bytes_.data() + self->place_, static_cast<size_t>(taken));
    self->place_ += taken;
    return taken;
  }

  static int64_t Seek(void* opaque, int64_t offset, int whence) {
    auto* const self = static_cast<MemoryIo*>(opaque);
    const auto size = static_cast<int64_t>(self->bytes_.size());
    if (whence == AVSEEK_SIZE) return size;
    const int64_t base = whence == SEEK_CUR ? self->place_ : whence == SEEK_END ? size : 0;
    if (base + offset < 0 || base + offset > size) return AVERROR(EINVAL);
    return self->place_ = base + offset;
  }

  const absl::Span<const uint8_t> bytes_;
  int64_t place_ = 0;
  AVIOContext* context_ = nullptr;
};

// One pass over the frames of a file's first video stream.
class FrameReader {
 public:
  static absl::StatusOr<std::unique_ptr<FrameReader>> Open(absl::Span<const uint8_t> bytes,
                                                           const VideoLimits& limits);

  // Null at the end. Valid until the next call.
  absl::StatusOr<const AVFrame*> Next();

  // EXIF's number for the turn that the file asks of who shows it (telephones film on their side).
  int orientation() const;

  double frames_per_second() const {
    const AVRational rate = format_->streams[stream_]->avg_frame_rate;
    return rate.num > 0 && rate.den > 0 ? av_q2d(rate) : kUnknownRate;
  }

 private:
  explicit FrameReader(absl::Span<const uint8_t> bytes) : io_(bytes) {}
  absl::Status OpenFormat();
  absl::Status OpenCodec(const VideoLimits& limits);

  MemoryIo io_;
  Format format_;
  int stream_ = -1;
  Codec codec_;
  Packet packet_{av_packet_alloc()};
  Frame frame_{av_frame_alloc()};
  bool at_end_ = false;
};

absl::Status FrameReader::OpenFormat() {
  AVFormatContext* format = avformat_alloc_context();
  if (format == nullptr || io_.context() == nullptr || packet_ == nullptr || frame_ == nullptr) {
    avformat_free_context(format);
    return absl::ResourceExhaustedError("no memory to read a video");
  }
  format->pb = io_.context();
  format->flags |= AVFMT_FLAG_CUSTOM_IO;
  // Nothing but the bytes at hand: no playlist may name other files or hosts.
  format->protocol_whitelist = av_strdup("");
  const int error = avformat_open_input(&format, nullptr, nullptr, nullptr);  // frees it on failure
  if (error < 0) return Unreadable("unknown format", error);
  format_.reset(format);
  const int found = avformat_find_stream_info(format_.get(), nullptr);
  return found < 0 ? Unreadable("no stream information", found) : absl::OkStatus();
}

absl::Status FrameReader::OpenCodec(const VideoLimits& limits) {
  const AVCodec* decoder = nullptr;
  stream_ = av_find_best_stream(format_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0);
  if (stream_ < 0 || decoder == nullptr)
    return Unreadable("no video stream of a known codec", stream_);
  const AVCodecParameters& parameters = *format_->streams[stream_]->codecpar;
  const int64_t pixels = int64_t{parameters.width} * parameters.height;
  if (pixels < 1 || pixels > limits.max_pixels) {
    return absl::InvalidArgumentError(absl::StrCat("the video is ", parameters.width, " x ",
                                                   parameters.height, " pixels, at most ",
                                                   limits.max_pixels, " are allowed"));
  }
  codec_.reset(avcodec_alloc_context3(decoder));
  if (codec_ == nullptr) return absl::ResourceExhaustedError("no memory to decode a video");
  codec_->max_pixels = limits.max_pixels;
  codec_->thread_count = 1;
  int error = avcodec_parameters_to_context(codec_.get(), &parameters);
  if (error >= 0) error = avcodec_open2(codec_.get(), decoder, nullptr);
  return error < 0 ? Unreadable("the codec does not start", error) : absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<FrameReader>> FrameReader::Open(absl::Span<const uint8_t> bytes,
                                                               const VideoLimits& limits) {
  auto reader = std::unique_ptr<FrameReader>(new FrameReader(bytes));
  FACET_RETURN_IF_ERROR(reader->OpenFormat());
  FACET_RETURN_IF_ERROR(reader->OpenCodec(limits));
  return reader;
}

absl::StatusOr<const AVFrame*> FrameReader::Next() {
  while (true) {
    const int error = avcodec_receive_frame(codec_.get(), frame_.get());
    if (error == 0) return frame_.get();
    if (error == AVERROR_EOF) return nullptr;
    if (error != AVERROR(EAGAIN)) return Unreadable("a frame is damaged", error);
    if (at_end_) return nullptr;
    const int read = av_read_frame(format_.get(), packet_.get());
    if (read == AVERROR_EOF) {
      at_end_ = true;
      avcodec_send_packet(codec_.get(), nullptr);
      continue;
    }
    if (read < 0) return Unreadable("it is cut off or damaged", read);
    const int sent =
        packet_->stream_index == stream_ ? avcodec_send_packet(codec_.get(), packet_.get()) : 0;
    av_packet_unref(packet_.get());
    if (sent < 0 && sent != AVERROR(EAGAIN)) return Unreadable("a packet is damaged", sent);
  }
}

int FrameReader::orientation() const {
  size_t size = 0;
  const uint8_t* const matrix =
      av_stream_get_side_data(format_->streams[stream_], AV_PKT_DATA_DISPLAYMATRIX, &size);
  if (matrix == nullptr || size < 9 * sizeof(int32_t)) return 1;
  int32_t entries[9];
  std::memcpy(entries, matrix, sizeof(entries));
  const double turn = -av_display_rotation_get(entries);  // clockwise
  if (std::abs(turn - 90) < 1 || std::abs(turn + 270) < 1) return 6;
  if (std::abs(turn + 90) < 1 || std::abs(turn - 270) < 1) return 8;
  return std::abs(std::abs(turn) - 180) < 1 ? 3 : 1;
}

// Which conversion a frame's YUV wants: what the file says, else that of standard definition.
const int* Coefficients(const AVFrame& frame) {
  return sws_getCoefficients(frame.colorspace == AVCOL_SPC_UNSPECIFIED ? SWS_CS_DEFAULT
                                                                       : frame.colorspace);
}

absl::StatusOr<RgbImage> ToRgb(const AVFrame& frame) {
  const Scaler scaler(sws_getContext(
      frame.width, frame.height, static_cast<AVPixelFormat>(frame.format), frame.width,
      frame.height, AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, nullptr,
      nullptr, nullptr));
  if (scaler == nullptr) {
    return absl::InvalidArgumentError("the video has a pixel format that is not known");
  }
  constexpr int kNeutral = 1 << 16;  // contrast and saturation
  // Fails for frames that are RGB already, which need none of it.
  sws_setColorspaceDetails(scaler.get(), Coefficients(frame), frame.color_range == AVCOL_RANGE_JPEG,
                           sws_getCoefficients(SWS_CS_DEFAULT), /*dstRange=*/1, /*brightness=*/0,
                           kNeutral, kNeutral);
  RgbImage image(frame.height, frame.width);
  uint8_t* planes[1] = {image.pixels.data()};
  const int strides[1] = {3 * frame.width};
  sws_scale(scaler.get(), frame.data, frame.linesize, 0, frame.height, planes, strides);
  return image;
}

// How many frames a file has: by decoding them, since headers may lie or be silent.
absl::StatusOr<int> CountFrames(absl::Span<const uint8_t> bytes, const VideoLimits& limits,
                                const StillWanted& wanted) {
  FACET_ASSIGN_OR_RETURN(const std::unique_ptr<FrameReader> reader,
                         FrameReader::Open(bytes, limits));
  int count = 0;
  int64_t pixels = 0;
  while (true) {
    FACET_RETURN_IF_ERROR(wanted());
    FACET_ASSIGN_OR_RETURN(const AVFrame* frame, reader->Next());
    if (frame == nullptr) return count;
    if (++count > limits.max_source_frames) {
      return absl::InvalidArgumentError(
          absl::StrCat("the video has more than ", limits.max_source_frames, " frames"));
    }
    pixels += int64_t{frame->width} * frame->height;
    if (pixels > limits.max_source_pixels) {
      return absl::InvalidArgumentError(absl::StrCat("the frames of the video have more than ",
                                                     limits.max_source_pixels, " pixels together"));
    }
  }
}

}  // namespace

absl::StatusOr<double> DecodeVideo(absl::Span<const uint8_t> bytes, const VideoLimits& limits,
                                   int most, const StillWanted& wanted, const FrameSink& sink) {
  if (bytes.empty()) return absl::InvalidArgumentError("the video has no bytes");
  if (static_cast<int64_t>(bytes.size()) > limits.max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the video has ", bytes.size(), " bytes, at most ", limits.max_bytes, " are allowed"));
  }
  av_log_set_level(AV_LOG_QUIET);
  av_max_alloc(kMaxAllocation);
  FACET_ASSIGN_OR_RETURN(const int total, CountFrames(bytes, limits, wanted));
  if (total == 0) return absl::InvalidArgumentError("the video has no frames");
  const int taken = std::min(total, most);
  FACET_ASSIGN_OR_RETURN(const std::unique_ptr<FrameReader> reader,
                         FrameReader::Open(bytes, limits));
  const double rate = reader->frames_per_second();
  int handed = 0;
  for (int index = 0; handed < taken; ++index) {
    FACET_RETURN_IF_ERROR(wanted());
    FACET_ASSIGN_OR_RETURN(const AVFrame* frame, reader->Next());
    if (frame == nullptr) break;
    if (index < int64_t{handed} * total / taken) continue;
    FACET_ASSIGN_OR_RETURN(RgbImage image, ToRgb(*frame));
    FACET_RETURN_IF_ERROR(sink(Upright(std::move(image), reader->orientation()), index / rate));
    ++handed;
  }
  return total / rate;
}

}  // namespace facet
