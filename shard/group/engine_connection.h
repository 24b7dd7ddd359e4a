#ifndef FACET_SHARD_GROUP_ENGINE_CONNECTION_H_
#define FACET_SHARD_GROUP_ENGINE_CONNECTION_H_

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "shard/sampling/sampler.h"
#include "shard/sampling/stop_checker.h"

namespace facet {

// How a completion ended.
struct EngineFinish {
  FinishReason reason = FinishReason::kNone;
  absl::Status status;    // with kError; may carry RetryAfter (base/retry_after.h)
  absl::Duration queued;  // from arrival to the first step; zero if it never came to one
};

// A request was planned for the first time.
struct EngineStart {
  int cached_tokens = 0;  // of its prompt, taken from the prefix cache
  absl::Duration queued;  // since its arrival
  // CompiledGrammar::not_enforced() of its grammar.
  std::vector<std::string> not_enforced = {};
};

// News of one request.
struct EngineOutput {
  static constexpr int kAllCompletions = -1;

  uint64_t id = 0;  // as its connection numbers it
  // Which completion `tokens` and `finish` are of; kAllCompletions with a finish that ends all.
  int index = 0;
  std::optional<EngineStart> started;  // once, on the first output; of the request as a whole
  // With EngineRequest::prompt_logprobs: the next tokens of the prompt in order, from the second
  // on; all come before the first of any `tokens`. Of the request as a whole.
  std::vector<SampledToken> prompt;
  std::vector<SampledToken> tokens;
  std::optional<EngineFinish> finish;  // on the last output of the completion
};

// The outputs on their way from the engine to one reader (a router's stream). The engine never
// waits for the reader: what it has not taken is buffered up to a bound.
//
// The bound. Each output and each token (of a prompt too) counts 1, each top log-probability 1/4.
// When more than `max_buffered` wait, Push says so; the engine then ends all requests of this
// connection with RESOURCE_EXHAUSTED. Where even their finishes, or refusals of further requests,
// pass twice the bound, the connection is closed.
//
// Thread-safe. `on_news` is called, from the engine's threads and one call at a time, when there is
// something to Take() that was not there before, and when the connection is closed. It must not
// block, and must not call Close().
class EngineConnection {
 public:
  EngineConnection(int max_buffered, std::function<void()> on_news)
      : max_buffered_(max_buffered), on_news_(std::move(on_news)) {}

  // For the reader: all that waits, in order. Empty if nothing does.
  std::vector<EngineOutput> Take();

  // For the reader: OK while the connection is open. When it is not, and Take() gives nothing more,
  // the stream ends with this status.
  absl::Status status() const;

  // No calls of on_news any more once this has returned; outputs are dropped.
  void Detach();

  // The rest is for the engine.

  static constexpr int kMaxCompletions = 32;

  // Opens a request of `completions` in [1, kMaxCompletions]. False if one of this id is open, or
  // the connection is closed.
  bool Open(uint64_t id, int completions = 1);
  bool IsOpen(uint64_t id) const;
  int open_requests() const;

  // Buffers outputs; those of completions that are not open are dropped (of requests, where they
  // concern one as a whole), and a finish ends its completion. A request is open while one of its
  // completions is. False if the bound is passed.
  bool Push(std::vector<EngineOutput> outputs);

  // Closes it for `reason`; the first one counts. What is buffered can still be taken.
  void Close(absl::Status reason);

 private:
  void Notify();
  bool EnterLocked(const EngineOutput& output);

  const int max_buffered_;
  std::mutex notify_mutex_;  // held while on_news_ runs; never taken while holding mutex_
  std::function<void()> on_news_;

  mutable std::mutex mutex_;
  std::vector<EngineOutput> buffer_;
  int64_t buffered_quarters_ = 0;
  absl::flat_hash_map<uint64_t, uint32_t> open_;  // id -> a bit for each completion
  absl::Status closed_;
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_ENGINE_CONNECTION_H_
