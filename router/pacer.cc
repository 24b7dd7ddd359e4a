#include "router/pacer.h"

#include <utility>

namespace facet {

Pacer::Pacer(absl::Duration interval) : interval_(interval) {
  if (on()) thread_ = std::thread([this] { Run(); });
}

Pacer::~Pacer() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Pacer::Wait(std::function<void()> go_on) {
  bool first = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    first = waiting_.empty();
    waiting_.push_back(std::move(go_on));
  }
  if (first) changed_.notify_all();
}

void Pacer::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    changed_.wait_for(lock, absl::ToChronoNanoseconds(interval_), [this] { return stopping_; });
    if (stopping_) return;
    const std::vector<std::function<void()>> now = std::exchange(waiting_, {});
    lock.unlock();
    for (const std::function<void()>& go_on : now) go_on();
    lock.lock();
  }
}

}  // namespace facet
