#ifndef FACET_SHARD_GROUP_TESTING_COUNTING_MODEL_H_
#define FACET_SHARD_GROUP_TESTING_COUNTING_MODEL_H_

#include <condition_variable>
#include <functional>
#include <limits>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "shard/group/step_model.h"

namespace facet {

// A model whose likeliest next token is the last one plus 1 (modulo the vocabulary), so that every
// output can be foreseen, and whose steps a test can hold, fail, or look at.
class CountingModel final : public StepModel {
 public:
  explicit CountingModel(int vocab_size) : vocab_size_(vocab_size) {}

  absl::StatusOr<Tensor> Forward(const StepPlan& plan) override;
  StepTimings timings() const override {
    StepTimings out;
    out.collective = absl::Microseconds(10);
    return out;
  }

  // Called at the start of each step, with the plan; an error is the step's. Set before the first.
  std::function<absl::Status(const StepPlan&)> on_step;

  // All steps but the first `free_steps` of the model's life wait for Release(). WaitUntilHeld
  // returns when one waits.
  void Hold(int free_steps = 0);
  void Release();
  void WaitUntilHeld();

  int steps() const;

 private:
  const int vocab_size_;
  std::vector<float> logits_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int free_steps_ = std::numeric_limits<int>::max();
  bool held_ = false;
  int steps_ = 0;
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_TESTING_COUNTING_MODEL_H_
