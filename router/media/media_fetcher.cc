#include "router/media/media_fetcher.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"
#include "base/retry_after.h"
#include "base/status_macros.h"
#include "router/media/data_url.h"
#include "router/media/download.h"
#include "router/media/local_file.h"

namespace facet {
namespace {

int64_t BytesOf(const v1::Media& media) {
  auto bytes = static_cast<int64_t>(media.data().size());
  for (const std::string& image : media.frames().images()) {
    bytes += static_cast<int64_t>(image.size());
  }
  return bytes;
}

absl::Status InUrl(const MediaInput& input, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(input.field, ".url ", status.message()));
}

}  // namespace

// The downloads of one request.
struct MediaFetcher::Batch {
  explicit Batch(int count) : left(count) {}

  void End(absl::Status status) {
    if (!status.ok()) {
      {
        std::lock_guard<std::mutex> lock(mutex);
        // What ends because another failed says nothing.
        if (first_failure.ok()) first_failure = std::move(status);
      }
      stop.request_stop();
    }
    left.DecrementCount();
  }

  absl::Time request_deadline;
  std::atomic<int64_t> bytes_left{0};
  std::stop_source stop;  // the caller has left, or one has failed
  std::mutex mutex;
  absl::Status first_failure;
  absl::BlockingCounter left;
};

absl::Status MediaFetcher::Options::Validate() const {
  if (timeout <= absl::ZeroDuration() || timeout > absl::Hours(1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "media_url_timeout is ", absl::FormatDuration(timeout), "; allowed: up to 1h"));
  }
  if (threads < 1 || threads > 1024) {
    return absl::InvalidArgumentError(
        absl::StrCat("media_downloads is ", threads, "; allowed: 1 to 1024"));
  }
  if (max_queue < 1) {
    return absl::InvalidArgumentError(absl::StrCat("max_queue is ", max_queue, "; at least 1"));
  }
  return absl::OkStatus();
}

MediaFetcher::MediaFetcher(Options options, MediaMetrics* metrics)
    : options_(std::move(options)),
      metrics_(*metrics),
      pool_(options_.threads, static_cast<size_t>(options_.max_queue)) {}

absl::Status MediaFetcher::Check(const MediaInput& input) const {
  if (!input.media->has_url()) return absl::OkStatus();
  const std::string& url = input.media->url();
  switch (SchemeOf(url)) {
    case UrlScheme::kHttp:
      return InUrl(input, ParseHttpUrl(options_.rules, url).status());
    case UrlScheme::kData:
    case UrlScheme::kFile:
      return absl::OkStatus();
    case UrlScheme::kOther:
      break;
  }
  return InUrl(input, absl::InvalidArgumentError("is none of https:, http:, file: and data:"));
}

absl::StatusOr<FetchedMedia> MediaFetcher::Fetch(const MediaInputs& inputs, int64_t max_bytes,
                                                 absl::Time deadline, std::stop_token cancelled) {
  const auto has_url = [](const MediaInput& input) { return input.media->has_url(); };
  FetchedMedia out;
  out.inputs = inputs;
  const auto urls = std::count_if(inputs.begin(), inputs.end(), has_url);
  if (urls == 0) return out;
  Batch batch(static_cast<int>(urls));
  batch.request_deadline = deadline;
  for (const MediaInput& input : inputs) max_bytes -= BytesOf(*input.media);
  batch.bytes_left = max_bytes;
  const std::stop_callback stop(cancelled, [&batch] { batch.stop.request_stop(); });
  for (MediaInput& input : out.inputs) {
    if (!has_url(input)) continue;
    v1::Media* const medium = &out.fetched.emplace_back(*input.media);
    const absl::Status queued =
        pool_.Run([this, &batch, &input, medium] { Run(batch, input, medium); });
    if (!queued.ok()) {
      batch.End(WithRetryAfter(
          absl::ResourceExhaustedError(absl::StrCat(
              "media of ", options_.max_queue, " URLs wait to be fetched (--media_downloads)")),
          absl::Milliseconds(500)));
    }
  }
  batch.left.Wait();  // each ends by its deadline
  if (cancelled.stop_requested()) return absl::CancelledError("the caller cancelled");
  FACET_RETURN_IF_ERROR(batch.first_failure);
  auto medium = out.fetched.begin();
  for (MediaInput& input : out.inputs) {
    if (has_url(input)) input.media = &*medium++;
  }
  return out;
}

void MediaFetcher::Run(Batch& batch, const MediaInput& input, v1::Media* medium) {
  const std::string url = medium->url();
  metrics_.downloads_in_flight.Increment();
  const absl::Time begin = absl::Now();
  absl::StatusOr<std::string> bytes = Read(url, batch);
  metrics_.download_seconds.Observe(absl::ToDoubleSeconds(absl::Now() - begin));
  metrics_.downloads_in_flight.Decrement();
  metrics_.CountDownload(bytes.status().code());
  if (!bytes.ok()) return batch.End(InUrl(input, bytes.status()));
  metrics_.download_bytes.Increment(static_cast<double>(bytes->size()));
  medium->set_data(*std::move(bytes));
  batch.End(absl::OkStatus());
}

absl::StatusOr<std::string> MediaFetcher::Read(const std::string& url, Batch& batch) {
  if (batch.stop.stop_requested()) return absl::CancelledError("the request has ended");
  const absl::Time own_deadline = absl::Now() + options_.timeout;
  DownloadLimits limits;
  limits.deadline = std::min(own_deadline, batch.request_deadline);
  limits.bytes_left = &batch.bytes_left;
  limits.cancelled = batch.stop.get_token();
  absl::StatusOr<std::string> bytes = absl::InternalError("no scheme");
  switch (SchemeOf(url)) {
    case UrlScheme::kHttp:
      bytes = Download(options_.rules, url, limits);
      // The request still has time; its caller may try again.
      if (absl::IsDeadlineExceeded(bytes.status()) && own_deadline < batch.request_deadline) {
        return absl::UnavailableError(
            absl::StrCat(bytes.status().message(), " (--media_url_timeout)"));
      }
      return bytes;
    case UrlScheme::kFile:
      bytes = ReadFileUrl(url, options_.rules.file_roots, batch.bytes_left);
      break;
    case UrlScheme::kData:
      bytes = ReadDataUrl(url);
      break;
    case UrlScheme::kOther:
      return absl::InvalidArgumentError("is none of https:, http:, file: and data:");
  }
  if (bytes.ok()) {
    const auto size = static_cast<int64_t>(bytes->size());
    if (batch.bytes_left.fetch_sub(size) < size) {
      return absl::InvalidArgumentError("has more bytes than are left of --max_media_bytes");
    }
  }
  return bytes;
}

}  // namespace facet
