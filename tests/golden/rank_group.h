#ifndef FACET_TESTS_GOLDEN_RANK_GROUP_H_
#define FACET_TESTS_GOLDEN_RANK_GROUP_H_

// The ranks of a shard group as threads, and sequences with pages to run through them.

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/dtype.h"
#include "kernels/cpu/cpu_backend.h"
#include "shard/collective/collective.h"
#include "shard/step_plan.h"
#include "shard/transformer/rank_model.h"
#include "tests/golden/golden_model.h"

namespace facet::testing {

using Logits = std::vector<std::vector<float>>;  // [rows][V]

struct GroupOptions {
  int world_size = 1;
  bool expert_parallel = false;
  ComputeMode mode = ComputeMode::kF32;
  std::optional<DType> kv_dtype;  // the mode's, if not set
  std::string level;              // of the kernels, as CpuOptions::max_level
  int threads = 1;                // of each rank
  int page_tokens = 4;
  int pages = 0;  // of each pool
  int max_rows = 0;
  int max_logit_rows = 0;  // 0: as many as max_rows
};

class RankGroup {
 public:
  static absl::StatusOr<std::unique_ptr<RankGroup>> Start(const GoldenModel& model,
                                                          const GroupOptions& options);

  // Runs the step on all ranks at once. The first rank's error, if any failed.
  absl::StatusOr<Logits> Forward(const StepPlan& plan);

  // Overwrites one page, or all, of a pool with NaN: whoever reads them shows.
  void PoisonPage(AttentionKind kind, int page);
  void PoisonAllPages();

  const GroupOptions& options() const { return options_; }

 private:
  RankGroup() = default;

  GroupOptions options_;
  std::vector<std::unique_ptr<Collective>> collectives_;
  std::vector<std::unique_ptr<CpuBackend>> backends_;
  std::vector<std::unique_ptr<RankModel>> ranks_;
};

// Page ids of both pools, handed out in a shuffled order, the last one given back first.
class TestPages {
 public:
  enum class Contents {
    kPoisoned,  // all pages at first, and each page given back
    kLeftOver,  // a page holds what its last user wrote
  };
  TestPages(RankGroup& group, Contents contents, uint32_t seed);

  int Take(AttentionKind kind);
  void GiveBack(AttentionKind kind, int page);

 private:
  std::vector<int>& Free(AttentionKind kind) {
    return kind == AttentionKind::kGlobal ? free_global_ : free_sliding_;
  }

  RankGroup& group_;
  const Contents contents_;
  std::vector<int> free_global_;
  std::vector<int> free_sliding_;
};

// One sequence: asks for pages as it grows and gives back those behind the window.
class TestSequence {
 public:
  TestSequence(const ModelConfig& config, int page_tokens, TestPages& pages)
      : window_(config.sliding_window), page_tokens_(page_tokens), pages_(pages) {}
  ~TestSequence();

  // Shares `parent`'s whole pages and takes pages of its own for what the block at its position
  // holds already. Adds the copies that this needs to `plan`. The parent must live longer, and
  // neither gives the shared ones back; so the window must not have passed them.
  TestSequence(const TestSequence& parent, StepPlan& plan);

  // The next step, over `tokens`; logits of its last `logit_rows` rows.
  SequenceStep Step(const std::vector<int32_t>& tokens, int logit_rows);

  int position() const { return position_; }

 private:
  const int window_;
  const int page_tokens_;
  TestPages& pages_;
  int position_ = 0;
  int shared_blocks_ = 0;  // the first of both lists, given back by the parent
  std::vector<int32_t> global_;
  std::vector<int32_t> sliding_;
};

}  // namespace facet::testing

#endif  // FACET_TESTS_GOLDEN_RANK_GROUP_H_
