#ifndef FACET_SHARD_GROUP_STEP_WATCH_H_
#define FACET_SHARD_GROUP_STEP_WATCH_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace facet {

// Notices a step that hangs. Begin and End are called by the step loop; `on_hung`, once, by the
// watch's own thread, with DeadlineExceeded, when a step has lasted longer than `timeout` (up to a
// tenth more).
class StepWatch {
 public:
  StepWatch(absl::Duration timeout, std::function<void(const absl::Status&)> on_hung);
  ~StepWatch();

  // Ends the thread; waits for on_hung, if it runs. Idempotent; on one thread at a time.
  void Stop();

  void Begin();
  void End();

 private:
  void Watch();

  const absl::Duration timeout_;
  const std::function<void(const absl::Status&)> on_hung_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool stop_ = false;
  std::optional<absl::Time> begun_;
  std::thread thread_;
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_STEP_WATCH_H_
