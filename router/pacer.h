#ifndef FACET_ROUTER_PACER_H_
#define FACET_ROUTER_PACER_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/time/time.h"

namespace facet {

// Calls those that wait all together, once in an interval. So streams send at most one message in
// it: what comes in between is joined, which saves most of a token's cost where steps are short
// (docs/performance.md); and slow readers are looked for.
//
// Thread-safe. One thread of its own, unless the interval is zero: then nobody waits.
class Pacer {
 public:
  explicit Pacer(absl::Duration interval);
  // Those that still wait are not called.
  ~Pacer();
  Pacer(const Pacer&) = delete;
  Pacer& operator=(const Pacer&) = delete;

  bool on() const { return interval_ > absl::ZeroDuration(); }
  // Calls `go_on` within the interval, from the pacer's thread. To be called when on().
  void Wait(std::function<void()> go_on);

 private:
  void Run();

  const absl::Duration interval_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::vector<std::function<void()>> waiting_;  // since the thread began to sleep
  std::thread thread_;                          // last: uses all of the above
};

}  // namespace facet

#endif  // FACET_ROUTER_PACER_H_
