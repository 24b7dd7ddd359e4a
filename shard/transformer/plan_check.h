#ifndef FACET_SHARD_TRANSFORMER_PLAN_CHECK_H_
#define FACET_SHARD_TRANSFORMER_PLAN_CHECK_H_

// Guards the memory of a rank against a step plan that does not fit it.

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "model/config.h"
#include "shard/step_plan.h"
#include "shard/transformer/rank_options.h"

namespace facet {

// Thread-compatible: the rank's step loop owns it.
class PlanChecker {
 public:
  // Sizes of the model and of this rank's memory. Both are copied.
  PlanChecker(const ModelConfig& config, const RankOptions& options);

  // Internal, naming the sequence, the value and the limit, unless `plan` is of kind kRun, within
  // the limits of the options, and every page that it reads or writes exists; a page that is
  // written must belong to one sequence of the plan alone. Copies: no page is the target of two, or
  // target and source. Soft tokens are in order, within the sequence's part, and of the model's
  // width.
  absl::Status Check(const StepPlan& plan);

 private:
  // One of the two page pools.
  struct Pool {
    const char* name = "";
    int num_pages = 0;
    int window = 0;  // keys that a row sees, its own included; 0: all
    bool used = false;
    // Of each page, the last check in which it was written.
    std::vector<int64_t> written_in_check;
    // The same, for sources and targets of copies.
    std::vector<int64_t> source_in_check;
    std::vector<int64_t> target_in_check;
  };

  absl::Status CheckCopies(absl::Span<const PageCopy> copies, Pool& pool);
  absl::Status CheckSequence(const SequenceStep& sequence);
  absl::Status CheckTokens(const SequenceStep& sequence) const;
  absl::Status CheckSoftTokens(const SequenceStep& sequence) const;
  absl::Status CheckPages(const SequenceStep& sequence, absl::Span<const int32_t> pages,
                          Pool& pool);

  const int vocab_size_;
  const int hidden_size_;
  const int max_positions_;
  const RankOptions options_;
  Pool global_;
  Pool sliding_;
  int64_t checks_ = 0;
};

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_PLAN_CHECK_H_
