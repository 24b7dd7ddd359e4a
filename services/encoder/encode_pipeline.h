#ifndef FACET_SERVICES_ENCODER_ENCODE_PIPELINE_H_
#define FACET_SERVICES_ENCODER_ENCODE_PIPELINE_H_

// The way of a medium through an encoder: cache, decoding on a pool of threads, the network in
// batches.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/content_cache.h"
#include "base/retry_after.h"
#include "proto/facet/internal/encoder.pb.h"
#include "router/task_pool.h"
#include "services/encoder/batch_queue.h"
#include "services/encoder/encoder_metrics.h"
#include "services/encoder/still_wanted.h"

namespace facet {

// What is left to do for a call once its medium is decoded. Item: what the network takes.
template <typename Item, typename Response>
struct PreparedCall {
  std::vector<typename BatchQueue<Item, internal::SoftTokens>::Costed> items;  // at least one
  Response response;  // whole but for the soft tokens of each item
};

// Encoder (vision/vision_encoder.h, audio/audio_encoder.h) says what a medium is:
//   Request, Response, Item                            types
//   ContentKey Key(const Request&) const               thread-safe
//   StatusOr<PreparedCall<Item, Response>> Prepare(const Request&, const StillWanted&) const
//                                                      thread-safe
//   StatusOr<vector<SoftTokens>> Run(Span<const Item>) one an item; from one thread
//   int SoftCount(const Item&) const                   rows that Run will give for it
//   static SoftTokens* SoftOf(Response&, int item)     where an item's rows go
//   static int Parts(const Response&)                  how many of them there are
//   static void Count(const Response&, EncoderMetrics&)
//
// Thread-safe.
template <typename Encoder>
class EncodePipeline {
 public:
  using Request = typename Encoder::Request;
  using Response = typename Encoder::Response;
  using Item = typename Encoder::Item;
  using Done = std::function<void(const absl::Status&)>;

  struct Options {
    int decode_threads = 1;
    int max_requests = 64;                         // in the pipeline at the same time
    int64_t max_request_bytes = int64_t{1} << 30;  // of those together
    int64_t max_batch_cost = 1;                    // in the encoder's unit
    int64_t cache_bytes = 0;                       // 0: no cache
  };

  // `metrics` must outlive it.
  EncodePipeline(std::unique_ptr<Encoder> encoder, const Options& options, EncoderMetrics* metrics)
      : options_(options),
        metrics_(*metrics),
        encoder_(std::move(encoder)),
        cache_(options.cache_bytes),
        queue_(options.max_batch_cost,
               [this](absl::Span<const Item> items) { return RunNetwork(items); }),
        decoders_(options.decode_threads, static_cast<size_t>(options.max_requests)) {}

  // Fills `response`, but for the rows if the request asks for the counts alone, then calls `done`,
  // once, from whatever thread. Both messages must stay until then. Errors: ResourceExhausted, with
  // the time to come again, if too much is under way; what `wanted` says; else the encoder's own.
  void Encode(const Request& request, Response* response, StillWanted wanted, Done done) {
    auto call = std::make_shared<Call>();
    call->request = &request;
    call->response = response;
    call->wanted = std::move(wanted);
    call->done = std::move(done);
    call->bytes = static_cast<int64_t>(request.ByteSizeLong());
    const int requests = requests_.fetch_add(1) + 1;
    const int64_t bytes = request_bytes_.fetch_add(call->bytes) + call->bytes;
    metrics_.in_flight.Increment();
    // A single request may be larger than what many may be together.
    if (requests > options_.max_requests || (requests > 1 && bytes > options_.max_request_bytes)) {
      return End(*call, WithRetryAfter(absl::ResourceExhaustedError(absl::StrCat(
                                           "the encoder is full: ", requests - 1, " requests of ",
                                           bytes - call->bytes,
                                           " bytes are under way; allowed: ", options_.max_requests,
                                           " of ", options_.max_request_bytes)),
                                       absl::Milliseconds(200)));
    }
    const absl::Status queued = decoders_.Run([this, call] { Decode(call); });
    if (!queued.ok()) End(*call, queued);
  }

 private:
  struct Call {
    const Request* request = nullptr;
    Response* response = nullptr;
    StillWanted wanted;
    Done done;
    int64_t bytes = 0;
    const absl::Time arrival = absl::Now();
    ContentKey key = {};
    Response prepared;
  };

  void Decode(const std::shared_ptr<Call>& call) {
    if (const absl::Status wanted = call->wanted(); !wanted.ok()) return End(*call, wanted);
    call->key = encoder_->Key(*call->request);
    if (const auto known = cache_.Find(call->key); known != nullptr) {
      metrics_.cache_hits.Increment();
      *call->response = *known;
      call->response->set_cached(true);
      if (call->request->count_only()) DropRows(*call->response);
      return End(*call, absl::OkStatus());
    }
    metrics_.cache_misses.Increment();
    const absl::Time begin = absl::Now();
    auto prepared = encoder_->Prepare(*call->request, call->wanted);
    metrics_.decode_seconds.Observe(absl::ToDoubleSeconds(absl::Now() - begin));
    if (!prepared.ok()) return End(*call, prepared.status());
    call->prepared = std::move(prepared->response);
    if (call->request->count_only()) return AnswerCounts(*call, prepared->items);
    metrics_.queue_depth.Increment(static_cast<double>(prepared->items.size()));
    const auto items = static_cast<double>(prepared->items.size());
    queue_.Submit(std::move(prepared->items), call->wanted,
                  [this, call, items](absl::StatusOr<std::vector<internal::SoftTokens>> soft) {
                    metrics_.queue_depth.Decrement(items);
                    Answer(*call, std::move(soft));
                  });
  }

  void AnswerCounts(
      Call& call,
      const std::vector<typename BatchQueue<Item, internal::SoftTokens>::Costed>& items) {
    *call.response = std::move(call.prepared);
    for (size_t i = 0; i < items.size(); ++i) {
      Encoder::SoftOf(*call.response, static_cast<int>(i))
          ->set_count(encoder_->SoftCount(items[i].item));
    }
    End(call, absl::OkStatus());
  }

  static void DropRows(Response& response) {
    for (int i = 0; i < Encoder::Parts(response); ++i) Encoder::SoftOf(response, i)->clear_rows();
  }

  absl::StatusOr<std::vector<internal::SoftTokens>> RunNetwork(absl::Span<const Item> items) {
    const absl::Time begin = absl::Now();
    auto soft = encoder_->Run(items);
    metrics_.network_seconds.Observe(absl::ToDoubleSeconds(absl::Now() - begin));
    metrics_.batch_items.Observe(static_cast<double>(items.size()));
    return soft;
  }

  void Answer(Call& call, absl::StatusOr<std::vector<internal::SoftTokens>> soft) {
    if (!soft.ok()) return End(call, soft.status());
    for (size_t i = 0; i < soft->size(); ++i) {
      metrics_.soft_tokens.Increment((*soft)[i].count());
      *Encoder::SoftOf(call.prepared, static_cast<int>(i)) = std::move((*soft)[i]);
    }
    Encoder::Count(call.prepared, metrics_);
    *call.response = call.prepared;
    auto kept = std::make_shared<const Response>(std::move(call.prepared));
    const auto bytes = static_cast<int64_t>(kept->ByteSizeLong());
    cache_.Insert(call.key, std::move(kept), bytes);
    metrics_.cache_bytes.Set(static_cast<double>(cache_.bytes()));
    End(call, absl::OkStatus());
  }

  void End(Call& call, const absl::Status& status) {
    metrics_.CountRequest(status.code());
    metrics_.request_seconds.Observe(absl::ToDoubleSeconds(absl::Now() - call.arrival));
    metrics_.in_flight.Decrement();
    request_bytes_.fetch_sub(call.bytes);
    requests_.fetch_sub(1);
    call.done(status);
  }

  const Options options_;
  EncoderMetrics& metrics_;
  const std::unique_ptr<Encoder> encoder_;
  ContentCache<Response> cache_;
  std::atomic<int> requests_{0};
  std::atomic<int64_t> request_bytes_{0};
  BatchQueue<Item, internal::SoftTokens> queue_;
  TaskPool decoders_;  // last: its threads use all of the above
};

}  // namespace facet

#endif  // FACET_SERVICES_ENCODER_ENCODE_PIPELINE_H_
