#include "shard/group/testing/counting_model.h"

#include "base/status_macros.h"

namespace facet {

absl::StatusOr<Tensor> CountingModel::Forward(const StepPlan& plan) {
  {
    std::unique_lock<std::mutex> lock(mutex_);
    ++steps_;
    held_ = steps_ > free_steps_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return steps_ <= free_steps_; });
    held_ = false;
  }
  if (on_step) FACET_RETURN_IF_ERROR(on_step(plan));
  logits_.clear();
  for (const SequenceStep& sequence : plan.sequences) {
    for (size_t row = static_cast<size_t>(sequence.logits_from); row < sequence.tokens.size();
         ++row) {
      logits_.resize(logits_.size() + static_cast<size_t>(vocab_size_), 0.0f);
      const int next = (sequence.tokens[row] + 1) % vocab_size_;
      logits_[logits_.size() - static_cast<size_t>(vocab_size_ - next)] = 20.0f;
    }
  }
  Tensor out;
  out.data = logits_.data();
  out.rows = static_cast<int64_t>(logits_.size()) / vocab_size_;
  out.cols = vocab_size_;
  out.row_stride = vocab_size_;
  return out;
}

void CountingModel::Hold(int free_steps) {
  std::lock_guard<std::mutex> lock(mutex_);
  free_steps_ = free_steps;
}

void CountingModel::Release() {
  std::lock_guard<std::mutex> lock(mutex_);
  free_steps_ = std::numeric_limits<int>::max();
  changed_.notify_all();
}

void CountingModel::WaitUntilHeld() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return held_; });
}

int CountingModel::steps() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return steps_;
}

}  // namespace facet
