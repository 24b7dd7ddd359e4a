#include "router/media/media_prompts.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "router/media/media_kinds.h"
#include "router/media/media_validator.h"

namespace facet {
namespace {

// Of one request: more wait for these.
constexpr size_t kEncodedAtOnce = 16;

ContentKey KeyOf(const v1::Media& media, int budget) {
  std::string settings = absl::StrCat(v1::Media::Kind_Name(media.kind()), " ", budget,
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

std::shared_ptr<internal::EncodeVisionRequest> VisionRequest(const v1::Media& media, int budget) {
  auto request = std::make_shared<internal::EncodeVisionRequest>();
  request->set_max_soft_tokens(budget);
  if (media.has_frames()) {
    *request->mutable_frames()->mutable_images() = media.frames().images();
    *request->mutable_frames()->mutable_timestamp_seconds() = media.frames().timestamp_seconds();
  } else if (media.kind() == v1::Media::VIDEO) {
    request->set_video(media.data());
  } else {
    request->set_image(media.data());
  }
  return request;
}

absl::Status InField(const std::string& field, const absl::Status& status) {
  if (status.ok() || absl::IsUnavailable(status)) return status;
  absl::Status out(status.code(), absl::StrCat(field, ": ", status.message()));
  status.ForEachPayload(
      [&out](absl::string_view type, const absl::Cord& payload) { out.SetPayload(type, payload); });
  return out;
}

}  // namespace

// A medium on its way through an encoder.
struct MediaPrompts::Job {
  const MediaInput* input = nullptr;
  int budget = 0;
  ContentKey key = {};
  std::shared_ptr<EncodedMedium> made;          // by the encoder
  std::shared_ptr<const EncodedMedium> result;  // that, or what the cache had
  bool cached = false;
  absl::Status status;
  absl::BlockingCounter* left = nullptr;  // of its batch
};

absl::Status MediaPrompts::Options::Validate() const {
  const auto error = [](const char* name, int64_t value, const char* allowed) {
    return absl::InvalidArgumentError(absl::StrCat(name, " is ", value, "; allowed: ", allowed));
  };
  if (max_media_bytes < 1 || max_media_bytes > int64_t{1} << 30) {
    return error("max_media_bytes", max_media_bytes, "1 to 1073741824");
  }
  if (cache_bytes < 0) return error("media_cache_bytes", cache_bytes, "0 and above");
  if (image_budget != 0 && !IsImageBudget(image_budget)) {
    return error("image_budget", image_budget, "70, 140, 280, 560, 1120; 0 is the checkpoint's");
  }
  if (timeout <= absl::ZeroDuration() || timeout > absl::Hours(1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("encode_timeout is ", absl::FormatDuration(timeout), "; allowed: up to 1h"));
  }
  return absl::OkStatus();
}

MediaPrompts::MediaPrompts(const ServedModel* model, Options options)
    : model_(model),
      options_(std::move(options)),
      cache_(options_.cache_bytes),
      vision_("vision encoder", options_.vision_encoders),
      audio_("audio encoder", options_.audio_encoders) {}

bool MediaPrompts::HasEncoder(v1::Media::Kind kind) const {
  return kind == v1::Media::AUDIO ? !audio_.empty() : !vision_.empty();
}

std::vector<std::string> MediaPrompts::Modalities() const {
  std::vector<std::string> out;
  const std::pair<v1::Media::Kind, const char*> kinds[] = {
      {v1::Media::IMAGE, "image"}, {v1::Media::VIDEO, "video"}, {v1::Media::AUDIO, "audio"}};
  for (const auto& [kind, name] : kinds) {
    if (HasEncoder(kind) && TokensOf(model_->config, kind).has_value()) out.push_back(name);
  }
  return out;
}

absl::Status MediaPrompts::Validate(const MediaInputs& inputs) const {
  FACET_RETURN_IF_ERROR(ValidateMedia(*model_, options_.max_media_bytes, inputs));
  for (const MediaInput& input : inputs) {
    if (HasEncoder(input.media->kind())) continue;
    const bool hears = input.media->kind() == v1::Media::AUDIO;
    return absl::FailedPreconditionError(absl::StrCat(
        input.field, ".kind is ", v1::Media::Kind_Name(input.media->kind()),
        "; this router has no ",
        hears ? "audio encoder (--audio_encoders)" : "vision encoder (--vision_encoders)"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ExpandedPrompt> MediaPrompts::Make(std::vector<int32_t> prompt,
                                                  const MediaInputs& inputs, absl::Time deadline) {
  FACET_ASSIGN_OR_RETURN(const std::vector<size_t> order,
                         MatchPlaceholders(model_->config, prompt, inputs));
  ExpandedPrompt out;
  if (order.empty()) {
    out.token_ids = std::move(prompt);
    return out;
  }
  std::vector<std::shared_ptr<Job>> jobs;
  for (const size_t index : order) {
    const auto job = std::make_shared<Job>();
    job->input = &inputs[index];
    job->budget = inputs[index].media->max_soft_tokens();
    if (job->budget == 0 && inputs[index].media->kind() == v1::Media::IMAGE) {
      job->budget = options_.image_budget;
    }
    jobs.push_back(job);
  }
  FACET_RETURN_IF_ERROR(EncodeAll(jobs, std::min(deadline, absl::Now() + options_.timeout)));

  std::vector<std::shared_ptr<const EncodedMedium>> media;
  for (const auto& job : jobs) media.push_back(job->result);
  TokenizeText tokenize;
  if (const Tokenizer* const tokenizer = model_->tokenizer.get()) {
    tokenize = [tokenizer](const std::string& text) { return tokenizer->Encode(text, {}); };
  }
  FACET_ASSIGN_OR_RETURN(out, ExpandPrompt(model_->config, prompt, media, tokenize));
  for (size_t k = 0; k < jobs.size(); ++k) out.usage[k].set_cached(jobs[k]->cached);
  return out;
}

absl::Status MediaPrompts::EncodeAll(const std::vector<std::shared_ptr<Job>>& jobs,
                                     absl::Time deadline) {
  for (size_t begin = 0; begin < jobs.size(); begin += kEncodedAtOnce) {
    const size_t end = std::min(begin + kEncodedAtOnce, jobs.size());
    absl::BlockingCounter left(static_cast<int>(end - begin));
    for (size_t k = begin; k < end; ++k) {
      jobs[k]->left = &left;
      Begin(jobs[k], deadline);
    }
    left.Wait();  // each call ends by the deadline
    for (size_t k = begin; k < end; ++k) {
      FACET_RETURN_IF_ERROR(InField(jobs[k]->input->field, jobs[k]->status));
    }
  }
  return absl::OkStatus();
}

void MediaPrompts::Begin(const std::shared_ptr<Job>& job, absl::Time deadline) {
  const v1::Media& media = *job->input->media;
  job->key = KeyOf(media, job->budget);
  job->result = cache_.Find(job->key);
  if (job->result != nullptr) {
    job->cached = true;
    job->left->DecrementCount();
    return;
  }
  job->made = std::make_shared<EncodedMedium>();
  job->made->kind = media.kind();
  const auto done = [this, job](const auto& response) {
    job->status = response.ok() ? Take(*response, job.get()) : response.status();
    if (job->status.ok()) {
      int64_t bytes = 0;
      for (const EncodedPart& part : job->made->parts) {
        bytes += static_cast<int64_t>(part.soft.rows().size());
      }
      job->result = job->made;
      cache_.Insert(job->key, job->made, bytes);
    }
    job->left->DecrementCount();
  };
  if (media.kind() == v1::Media::AUDIO) {
    auto request = std::make_shared<internal::EncodeAudioRequest>();
    request->set_audio(media.data());
    request->set_split(media.split_long_audio());
    audio_.Encode(std::move(request), deadline, done);
  } else {
    vision_.Encode(VisionRequest(media, job->budget), deadline, done);
  }
}

absl::Status MediaPrompts::Take(const internal::EncodeVisionResponse& response, Job* job) const {
  job->cached = response.cached();
  job->made->seconds = response.seconds();
  if (response.images().empty()) return absl::InternalError("the vision encoder gave no images");
  for (const internal::EncodedImage& image : response.images()) {
    FACET_RETURN_IF_ERROR(AddPart(image.soft(), image.timestamp_seconds(), job));
  }
  return absl::OkStatus();
}

absl::Status MediaPrompts::Take(const internal::EncodeAudioResponse& response, Job* job) const {
  job->cached = response.cached();
  job->made->seconds = response.seconds();
  if (response.pieces().empty()) return absl::InternalError("the audio encoder gave no pieces");
  for (const internal::SoftTokens& piece : response.pieces()) {
    FACET_RETURN_IF_ERROR(AddPart(piece, /*timestamp=*/0, job));
  }
  return absl::OkStatus();
}

absl::Status MediaPrompts::AddPart(const internal::SoftTokens& soft, double timestamp,
                                   Job* job) const {
  const int64_t element = soft.dtype() == "bf16" ? 2 : 4;
  const int64_t bytes = soft.count() * element * model_->config.hidden_size;
  if (soft.count() < 1 || static_cast<int64_t>(soft.rows().size()) != bytes) {
    return absl::InternalError(absl::StrCat("the encoder gave ", soft.count(), " soft tokens of ",
                                            soft.rows().size(), " bytes where ", bytes,
                                            " are expected: is it of another checkpoint?"));
  }
  EncodedPart& part = job->made->parts.emplace_back();
  part.soft = soft;
  part.timestamp_seconds = timestamp;
  const ContentKey hash = MakeContentKey(
      absl::StrCat("part ", job->made->parts.size(), " ", soft.dtype()), {Bytes(job->key)});
  part.content_hash = std::string(Bytes(hash));
  return absl::OkStatus();
}

}  // namespace facet
