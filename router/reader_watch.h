#ifndef FACET_ROUTER_READER_WATCH_H_
#define FACET_ROUTER_READER_WATCH_H_

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "router/generation_call.h"

namespace facet {

// Asks every running call, again and again, whether its caller still reads.
//
// Thread-safe. One thread of its own.
class ReaderWatch {
 public:
  // A call is asked once in `interval`.
  explicit ReaderWatch(absl::Duration interval);
  ~ReaderWatch();
  ReaderWatch(const ReaderWatch&) = delete;
  ReaderWatch& operator=(const ReaderWatch&) = delete;

  // Until the call is gone.
  void Add(const std::shared_ptr<GenerationCall>& call);

 private:
  void Run();

  const absl::Duration interval_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::vector<std::weak_ptr<GenerationCall>> calls_;
  std::thread thread_;  // last: uses all of the above
};

}  // namespace facet

#endif  // FACET_ROUTER_READER_WATCH_H_
