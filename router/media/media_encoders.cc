#include "router/media/media_encoders.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"

namespace facet {
namespace {

// Of one request: more wait for these.
constexpr size_t kEncodedAtOnce = 16;

ContentKey KeyOf(const v1::Media& media, int budget, const std::string& dtype) {
  std::string settings = absl::StrCat(v1::Media::Kind_Name(media.kind()), " ", budget, " ", dtype,
                                      media.split_long_audio() ? " split" : "");
  if (!media.has_frames()) return MakeContentKey(settings, {media.data()});
  absl::StrAppend(&settings, " frames");
  for (const double time : media.frames().timestamp_seconds()) {
    absl::StrAppend(&settings, " ", time);
  }
  const std::vector<absl::string_view> images(media.frames().images().begin(),
                                              media.frames().images().end());
  return MakeContentKey(settings, images);
}

absl::string_view Bytes(const ContentKey& key) {
  return {reinterpret_cast<const char*>(key.data()), key.size()};
}

template <typename Request>
std::shared_ptr<Request> NewRequest(const MediaEncoders::Options& options,
                                    const MediaEncoders::Call& call) {
  auto request = std::make_shared<Request>();
  request->mutable_expected()->set_fingerprint(options.fingerprint);
  request->mutable_expected()->set_dtype(call.dtype);
  request->set_count_only(call.count_only);
  return request;
}

void SetMedium(const v1::Media& media, int budget, internal::EncodeVisionRequest* request) {
  request->set_max_soft_tokens(budget);
  if (media.has_frames()) {
    *request->mutable_frames()->mutable_images() = media.frames().images();
    *request->mutable_frames()->mutable_timestamp_seconds() = media.frames().timestamp_seconds();
  } else if (media.kind() == v1::Media::VIDEO) {
    request->set_video(media.data());
  } else {
    request->set_image(media.data());
  }
}

absl::Status InField(const std::string& field, const absl::Status& status) {
  // These are not about the medium.
  if (status.ok() || absl::IsUnavailable(status) || absl::IsFailedPrecondition(status)) {
    return status;
  }
  absl::Status out(status.code(), absl::StrCat(field, ": ", status.message()));
  status.ForEachPayload(
      [&out](absl::string_view type, const absl::Cord& payload) { out.SetPayload(type, payload); });
  return out;
}

}  // namespace

// A medium on its way through an encoder.
struct MediaEncoders::Job {
  const Medium* medium = nullptr;
  bool count_only = false;
  ContentKey key = {};
  absl::Time begin;
  std::shared_ptr<EncodedMedium> made;  // by the encoder
  Encoded result;
  absl::Status status;
  absl::BlockingCounter* left = nullptr;  // of its batch
};

absl::Status MediaEncoders::Options::Validate() const {
  if (cache_bytes < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("media_cache_bytes is ", cache_bytes, "; allowed: 0 and above"));
  }
  if (timeout <= absl::ZeroDuration() || timeout > absl::Hours(1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("encode_timeout is ", absl::FormatDuration(timeout), "; allowed: up to 1h"));
  }
  if (ping_timeout < absl::Milliseconds(100) || ping_timeout > absl::Hours(1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "encoder_timeout is ", absl::FormatDuration(ping_timeout), "; allowed: 100ms to 1h"));
  }
  return absl::OkStatus();
}

MediaEncoders::MediaEncoders(Options options, MediaMetrics* metrics)
    : options_(std::move(options)),
      metrics_(*metrics),
      cache_(options_.cache_bytes),
      vision_("vision encoder", options_.vision, options_.ping_timeout, metrics),
      audio_("audio encoder", options_.audio, options_.ping_timeout, metrics) {}

bool MediaEncoders::Has(v1::Media::Kind kind) const {
  return kind == v1::Media::AUDIO ? !audio_.empty() : !vision_.empty();
}

absl::StatusOr<std::vector<MediaEncoders::Encoded>> MediaEncoders::Encode(
    const std::vector<Medium>& media, const Call& call) {
  Call bounded = call;
  bounded.deadline = std::min(call.deadline, absl::Now() + options_.timeout);
  std::vector<Encoded> out;
  for (size_t begin = 0; begin < media.size(); begin += kEncodedAtOnce) {
    const size_t end = std::min(begin + kEncodedAtOnce, media.size());
    absl::BlockingCounter left(static_cast<int>(end - begin));
    std::vector<std::shared_ptr<Job>> jobs;
    for (size_t k = begin; k < end; ++k) {
      jobs.push_back(std::make_shared<Job>());
      jobs.back()->medium = &media[k];
      jobs.back()->left = &left;
      Begin(jobs.back(), bounded);
    }
    left.Wait();  // each call ends by the deadline
    for (const auto& job : jobs) {
      FACET_RETURN_IF_ERROR(InField(job->medium->input.field, job->status));
      out.push_back(std::move(job->result));
    }
  }
  return out;
}

void MediaEncoders::Begin(const std::shared_ptr<Job>& job, const Call& call) {
  const v1::Media& media = *job->medium->input.media;
  job->count_only = call.count_only;
  job->key = KeyOf(media, job->medium->budget, call.dtype);
  job->result.medium = cache_.Find(job->key);
  if (job->result.medium != nullptr) {
    metrics_.cache_hits.Increment();
    metrics_.CountMedium(media.kind(), absl::StatusCode::kOk);
    job->result.cached = true;
    job->left->DecrementCount();
    return;
  }
  metrics_.cache_misses.Increment();
  metrics_.encodings_in_flight.Increment();
  job->begin = absl::Now();
  job->made = std::make_shared<EncodedMedium>();
  job->made->kind = media.kind();
  const auto done = [this, job](const auto& response) { End(*job, response); };
  if (media.kind() == v1::Media::AUDIO) {
    auto request = NewRequest<internal::EncodeAudioRequest>(options_, call);
    request->set_audio(media.data());
    request->set_split(media.split_long_audio());
    audio_.Encode(std::move(request), call.deadline, call.cancelled, done);
  } else {
    auto request = NewRequest<internal::EncodeVisionRequest>(options_, call);
    SetMedium(media, job->medium->budget, request.get());
    vision_.Encode(std::move(request), call.deadline, call.cancelled, done);
  }
}

template <typename Response>
void MediaEncoders::End(Job& job, const absl::StatusOr<Response>& response) {
  job.status = response.ok() ? Take(*response, job) : response.status();
  if (job.status.ok()) {
    job.result.medium = job.made;
    if (!job.count_only) {
      int64_t bytes = 0;
      for (const EncodedPart& part : job.made->parts) {
        bytes += static_cast<int64_t>(part.soft.rows().size());
      }
      cache_.Insert(job.key, job.made, bytes);
      metrics_.cache_bytes.Set(static_cast<double>(cache_.bytes()));
    }
  }
  metrics_.ObserveEncoding(job.made->kind, absl::ToDoubleSeconds(absl::Now() - job.begin));
  metrics_.CountMedium(job.made->kind, job.status.code());
  metrics_.encodings_in_flight.Decrement();
  job.left->DecrementCount();
}

absl::Status MediaEncoders::Take(const internal::EncodeVisionResponse& response, Job& job) const {
  job.result.cached = response.cached();
  job.made->seconds = response.seconds();
  if (response.images().empty()) return absl::InternalError("the vision encoder gave no images");
  for (const internal::EncodedImage& image : response.images()) {
    FACET_RETURN_IF_ERROR(AddPart(image.soft(), image.timestamp_seconds(), job));
  }
  return absl::OkStatus();
}

absl::Status MediaEncoders::Take(const internal::EncodeAudioResponse& response, Job& job) const {
  job.result.cached = response.cached();
  job.made->seconds = response.seconds();
  if (response.pieces().empty()) return absl::InternalError("the audio encoder gave no pieces");
  for (const internal::SoftTokens& piece : response.pieces()) {
    FACET_RETURN_IF_ERROR(AddPart(piece, /*timestamp=*/0, job));
  }
  return absl::OkStatus();
}

absl::Status MediaEncoders::AddPart(const internal::SoftTokens& soft, double timestamp,
                                    Job& job) const {
  const int64_t element = soft.dtype() == "bf16" ? 2 : 4;
  const int64_t bytes = job.count_only ? 0 : soft.count() * element * options_.hidden_size;
  if (soft.count() < 1 || static_cast<int64_t>(soft.rows().size()) != bytes) {
    return absl::InternalError(absl::StrCat("the encoder gave ", soft.count(), " soft tokens of ",
                                            soft.rows().size(), " bytes where ", bytes,
                                            " are expected"));
  }
  EncodedPart& part = job.made->parts.emplace_back();
  part.soft = soft;
  part.timestamp_seconds = timestamp;
  const ContentKey hash = MakeContentKey(
      absl::StrCat("part ", job.made->parts.size(), " ", soft.dtype()), {Bytes(job.key)});
  part.content_hash = std::string(Bytes(hash));
  return absl::OkStatus();
}

}  // namespace facet
