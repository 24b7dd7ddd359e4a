#include "shard/group/step_watch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace facet {

StepWatch::StepWatch(absl::Duration timeout, std::function<void(const absl::Status&)> on_hung)
    : timeout_(timeout), on_hung_(std::move(on_hung)), thread_([this] { Watch(); }) {}

StepWatch::~StepWatch() { Stop(); }

void StepWatch::Stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  ended_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void StepWatch::Begin() {
  std::lock_guard<std::mutex> lock(mutex_);
  begun_ = absl::Now();
}

void StepWatch::End() {
  std::lock_guard<std::mutex> lock(mutex_);
  begun_.reset();
}

void StepWatch::Watch() {
  const absl::Duration interval =
      std::clamp(timeout_ / 10, absl::Milliseconds(10), absl::Seconds(1));
  std::unique_lock<std::mutex> lock(mutex_);
  while (!ended_.wait_for(lock, absl::ToChronoNanoseconds(interval), [this] { return stop_; })) {
    if (!begun_ || absl::Now() - *begun_ <= timeout_) continue;
    lock.unlock();
    on_hung_(absl::DeadlineExceededError(
        absl::StrCat("a step has not ended within ", absl::FormatDuration(timeout_))));
    return;
  }
}

}  // namespace facet
