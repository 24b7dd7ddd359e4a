#include "services/encoder/encoder_metrics.h"

#include <string>

#include "base/add_metric.h"

namespace facet {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

Buckets SecondsBuckets() {
  return Buckets{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                 0.5,    1,     2.5,    5,     10,   30,    60,   120};
}

Buckets ItemBuckets() { return Buckets{1, 2, 4, 8, 16, 32, 64, 128}; }

}  // namespace

EncoderMetrics::EncoderMetrics(prometheus::Registry& registry)
    : in_flight(
          AddGauge(registry, "facet_encoder_requests_in_flight", "Calls in the encoder now.")),
      queue_depth(AddGauge(registry, "facet_encoder_queue_depth",
                           "Images, frames or clips that wait for the network or are in it.")),
      batch_items(AddHistogram(registry, "facet_encoder_batch_items",
                               "Images, frames or clips of one batch of the network.",
                               ItemBuckets())),
      decode_seconds(AddHistogram(registry, "facet_encoder_decode_seconds",
                                  "Time to decode and prepare the medium of one call.",
                                  SecondsBuckets())),
      network_seconds(AddHistogram(registry, "facet_encoder_network_seconds",
                                   "Time of one batch in the network.", SecondsBuckets())),
      request_seconds(AddHistogram(registry, "facet_encoder_request_seconds",
                                   "Time from the arrival of a call to its end.",
                                   SecondsBuckets())),
      cache_hits(
          AddCounter(registry, "facet_encoder_cache_hits_total", "Calls answered from the cache.")),
      cache_misses(AddCounter(registry, "facet_encoder_cache_misses_total",
                              "Calls whose medium the cache did not know.")),
      cache_bytes(AddGauge(registry, "facet_encoder_cache_bytes",
                           "Memory of the results that the cache holds.")),
      images(AddCounter(registry, "facet_encoder_images_total",
                        "Images and video frames that went through the network.")),
      audio_seconds(AddCounter(registry, "facet_encoder_audio_seconds_total",
                               "Length of the audio that went through the network.")),
      soft_tokens(AddCounter(registry, "facet_encoder_soft_tokens_total",
                             "Soft tokens that the network made.")),
      requests_(prometheus::BuildCounter()
                    .Name("facet_encoder_requests_total")
                    .Help("Calls that have ended, by gRPC status code.")
                    .Register(registry)) {
  // There from the start, so that a rate over it has a first value.
  requests_.Add({{"code", absl::StatusCodeToString(absl::StatusCode::kOk)}});
}

void EncoderMetrics::CountRequest(absl::StatusCode code) {
  requests_.Add({{"code", absl::StatusCodeToString(code)}}).Increment();
}

}  // namespace facet
