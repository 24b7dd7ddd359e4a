#include "router/media/media_metrics.h"

#include "absl/strings/ascii.h"
#include "base/add_metric.h"

namespace facet {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

// A small image on a GPU, a long video on a CPU.
Buckets Seconds() {
  return Buckets{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320};
}

std::string Label(v1::Media::Kind kind) {
  return absl::AsciiStrToLower(v1::Media::Kind_Name(kind));
}

}  // namespace

MediaMetrics::MediaMetrics(prometheus::Registry& registry)
    : encodings_in_flight(AddGauge(registry, "facet_router_media_encodings_in_flight",
                                   "Media that wait for an encoder now.")),
      cache_hits(AddCounter(registry, "facet_router_media_cache_hits_total",
                            "Media whose soft tokens the router knew already.")),
      cache_misses(AddCounter(registry, "facet_router_media_cache_misses_total",
                              "Media that an encoder was asked about.")),
      cache_bytes(AddGauge(registry, "facet_router_media_cache_bytes",
                           "Bytes of the soft tokens that the router keeps.")),
      downloads_in_flight(AddGauge(registry, "facet_router_media_downloads_in_flight",
                                   "Media that are fetched from their URLs now.")),
      download_bytes(AddCounter(registry, "facet_router_media_download_bytes_total",
                                "Bytes of the media that were fetched from URLs.")),
      download_seconds(prometheus::BuildHistogram()
                           .Name("facet_router_media_download_seconds")
                           .Help("Time to fetch one medium from its URL, failures included.")
                           .Register(registry)
                           .Add({}, Seconds())),
      media_(prometheus::BuildCounter()
                 .Name("facet_router_media_total")
                 .Help("Media of requests, by kind and gRPC status code of their encoding.")
                 .Register(registry)),
      encode_seconds_(prometheus::BuildHistogram()
                          .Name("facet_router_media_encode_seconds")
                          .Help("Time that encoders took for one medium, by kind.")
                          .Register(registry)),
      retries_(prometheus::BuildCounter()
                   .Name("facet_router_media_retries_total")
                   .Help("Media that a second replica of their encoder was asked about, since the "
                         "first was lost or full.")
                   .Register(registry)),
      downloads_(prometheus::BuildCounter()
                     .Name("facet_router_media_downloads_total")
                     .Help("Media that were to be fetched from their URLs, by gRPC status code.")
                     .Register(registry)) {
  // There from the start, so that a rate over it has a first value.
  for (const v1::Media::Kind kind : {v1::Media::IMAGE, v1::Media::VIDEO, v1::Media::AUDIO}) {
    media_.Add({{"kind", Label(kind)}, {"code", absl::StatusCodeToString(absl::StatusCode::kOk)}});
    encode_seconds_.Add({{"kind", Label(kind)}}, Seconds());
  }
  downloads_.Add({{"code", absl::StatusCodeToString(absl::StatusCode::kOk)}});
}

void MediaMetrics::CountMedium(v1::Media::Kind kind, absl::StatusCode code) {
  media_.Add({{"kind", Label(kind)}, {"code", absl::StatusCodeToString(code)}}).Increment();
}

void MediaMetrics::ObserveEncoding(v1::Media::Kind kind, double seconds) {
  encode_seconds_.Add({{"kind", Label(kind)}}, Seconds()).Observe(seconds);
}

void MediaMetrics::CountRetry(const std::string& encoder) {
  retries_.Add({{"encoder", encoder}}).Increment();
}

void MediaMetrics::CountDownload(absl::StatusCode code) {
  downloads_.Add({{"code", absl::StatusCodeToString(code)}}).Increment();
}

}  // namespace facet
