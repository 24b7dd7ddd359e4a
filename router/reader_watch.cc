#include "router/reader_watch.h"

#include <algorithm>

namespace facet {

ReaderWatch::ReaderWatch(absl::Duration interval)
    : interval_(interval), thread_([this] { Run(); }) {}

ReaderWatch::~ReaderWatch() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ReaderWatch::Add(const std::shared_ptr<GenerationCall>& call) {
  std::lock_guard<std::mutex> lock(mutex_);
  calls_.push_back(call);
}

void ReaderWatch::Run() {
  for (;;) {
    std::vector<std::shared_ptr<GenerationCall>> running;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait_for(lock, absl::ToChronoNanoseconds(interval_), [this] { return stopping_; });
      if (stopping_) return;
      const auto gone = [&running](const std::weak_ptr<GenerationCall>& call) {
        running.push_back(call.lock());
        return running.back() == nullptr;
      };
      calls_.erase(std::remove_if(calls_.begin(), calls_.end(), gone), calls_.end());
    }
    for (const auto& call : running) {
      if (call != nullptr) call->CheckReader();
    }
  }
}

}  // namespace facet
