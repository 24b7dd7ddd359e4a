#ifndef FACET_ROUTER_MEDIA_MEDIA_FETCHER_H_
#define FACET_ROUTER_MEDIA_MEDIA_FETCHER_H_

// Media given by URL.

#include <cstdint>
#include <list>
#include <stop_token>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/facet/v1/media.pb.h"
#include "router/media/media_input.h"
#include "router/media/media_metrics.h"
#include "router/media/url_rules.h"
#include "router/task_pool.h"

namespace facet {

// The inputs of a request whose URLs have become bytes; those that had none are the request's own.
struct FetchedMedia {
  MediaInputs inputs;
  std::list<v1::Media> fetched;  // that `inputs` point to: their addresses stay
};

// Thread-safe.
class MediaFetcher {
 public:
  struct Options {
    UrlRules rules;
    absl::Duration timeout = absl::Seconds(20);  // of one URL, redirects included
    int threads = 16;                            // downloads at the same time; >= 1
    int max_queue = 256;                         // downloads that wait; >= 1

    // InvalidArgument names the flag.
    absl::Status Validate() const;
  };

  // `metrics` must outlive it.
  MediaFetcher(Options options, MediaMetrics* metrics);

  // What can be said of a URL before anything is fetched: see ParseHttpUrl, ReadFileUrl.
  absl::Status Check(const MediaInput& input) const;

  // Reads what `inputs` name by URL, side by side; blocks until all are there or the first has
  // failed. `max_bytes`: of all media of the request, those that it holds itself included. Errors
  // as those of Download; they name the medium. ResourceExhausted: too many wait.
  absl::StatusOr<FetchedMedia> Fetch(const MediaInputs& inputs, int64_t max_bytes,
                                     absl::Time deadline, std::stop_token cancelled);

 private:
  struct Batch;

  absl::StatusOr<std::string> Read(const std::string& url, Batch& batch);
  void Run(Batch& batch, const MediaInput& input, v1::Media* medium);

  const Options options_;
  MediaMetrics& metrics_;
  TaskPool pool_;
};

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_MEDIA_FETCHER_H_
