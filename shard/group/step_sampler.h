#ifndef FACET_SHARD_GROUP_STEP_SAMPLER_H_
#define FACET_SHARD_GROUP_STEP_SAMPLER_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/tensor.h"
#include "shard/group/request_desk.h"
#include "shard/sampling/sampler.h"
#include "shard/scheduler/scheduler.h"

namespace facet {

// From a step's logits to tokens and outputs. Rows are sampled in parallel: between two steps the
// cores have nothing else to do, and a row of 262,144 logits takes 0.1 to 0.5 ms. What a row yields
// does not depend on that.
//
// Thread-compatible: whoever holds the step owns it.
class StepSampler {
 public:
  // `threads` >= 1. `desk` is borrowed.
  StepSampler(int vocab_size, int threads, RequestDesk* desk);

  // `logits`: [rows, vocab], where rows() of the scheduler say what each is for. Adds to `outputs`
  // what the requests get of it, ends those that end by it, and returns the tokens for
  // Scheduler::Commit; of sequences that the desk holds no more there are none.
  // A row that cannot be sampled ends its own request only. Internal: logits of another shape.
  absl::StatusOr<std::vector<NewToken>> Sample(const Tensor& logits,
                                               absl::Span<const LogitsRow> rows,
                                               EngineOutputs* outputs);

  // Computes the masks of those rows whose completions have a grammar, unless it is done: beside
  // the step whose logits they will meet. Returns how many. Sample computes what is missing.
  int FillMasks(absl::Span<const LogitsRow> rows);

 private:
  // A row and whom it belongs to.
  struct Task {
    LogitsRow row;
    LiveRequest* live;
    int index;  // of the completion
    absl::StatusOr<SampledToken> result = SampledToken();
  };

  absl::Status CheckShape(const Tensor& logits, absl::Span<const LogitsRow> rows) const;
  void Assign(absl::Span<const LogitsRow> rows);
  void Compute(const Tensor& logits, Sampler& sampler, Task& task) const;
  size_t ReportPrompt(size_t first, EngineOutputs* outputs);
  NewToken ReportToken(Task& task, EngineOutputs* outputs);
  void ReportError(const Task& task, EngineOutputs* outputs);

  const int vocab_size_;
  RequestDesk* const desk_;
  ThreadPool pool_;
  std::vector<Sampler> samplers_;  // one for each thread of the pool
  std::vector<Task> tasks_;
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_STEP_SAMPLER_H_
