#include "tests/golden/rank_group.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "shard/collective/testing/in_process_collective.h"
#include "shard/kv_tensors/kv_cache_tensors.h"

namespace facet::testing {
namespace {

void Poison(const KvPages& pages, int first, int count) {
  // All bits set are a NaN in float32 and in bfloat16, and so in the scale of a row with one.
  for (void* data : {pages.k, pages.v}) {
    std::memset(static_cast<uint8_t*>(data) + first * pages.page_bytes(), 0xff,
                static_cast<size_t>(count * pages.page_bytes()));
  }
}

Logits CopyRows(const Tensor& tensor) {
  Logits rows;
  for (int64_t r = 0; r < tensor.rows; ++r) {
    rows.emplace_back(tensor.f32(r), tensor.f32(r) + tensor.cols);
  }
  return rows;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RankGroup>> RankGroup::Start(const GoldenModel& model,
                                                            const GroupOptions& options) {
  std::unique_ptr<RankGroup> group(new RankGroup);
  group->options_ = options;
  if (options.world_size > 1) {
    group->collectives_ = MakeInProcessGroup(options.world_size, absl::Seconds(30));
  }
  for (int rank = 0; rank < options.world_size; ++rank) {
    CpuOptions cpu;
    cpu.threads = options.threads;
    cpu.max_level = options.level;
    FACET_ASSIGN_OR_RETURN(std::unique_ptr<CpuBackend> backend, CpuBackend::Create(cpu));
    RankOptions of_rank;
    of_rank.rank = rank;
    of_rank.world_size = options.world_size;
    of_rank.expert_parallel = options.expert_parallel;
    of_rank.mode = options.mode;
    of_rank.kv_dtype = options.kv_dtype.value_or(DefaultKvDType(options.mode));
    of_rank.page_tokens = options.page_tokens;
    of_rank.global_pages = options.pages;
    of_rank.sliding_pages = options.pages;
    of_rank.max_step_tokens = options.max_rows;
    of_rank.max_logit_rows = options.max_logit_rows > 0 ? options.max_logit_rows : options.max_rows;
    Collective* collective = options.world_size > 1 ? group->collectives_[rank].get() : nullptr;
    FACET_ASSIGN_OR_RETURN(
        std::unique_ptr<RankModel> loaded,
        RankModel::Load(model.config, *model.checkpoint, of_rank, backend.get(), collective));
    group->backends_.push_back(std::move(backend));
    group->ranks_.push_back(std::move(loaded));
  }
  return group;
}

absl::StatusOr<Logits> RankGroup::Forward(const StepPlan& plan) {
  std::vector<std::optional<absl::StatusOr<Tensor>>> results(ranks_.size());
  std::vector<std::thread> threads;
  for (size_t rank = 1; rank < ranks_.size(); ++rank) {
    threads.emplace_back([&, rank] { results[rank] = ranks_[rank]->Forward(plan); });
  }
  results[0] = ranks_[0]->Forward(plan);
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) FACET_RETURN_IF_ERROR(result->status());
  for (size_t rank = 1; rank < ranks_.size(); ++rank) {
    if ((*results[rank])->rows != 0) return absl::InternalError("logits on another rank than 0");
  }
  return CopyRows(**results[0]);
}

void RankGroup::PoisonPage(AttentionKind kind, int page) {
  for (const auto& rank : ranks_) {
    for (int i = 0; i < rank->config().num_layers; ++i) {
      if (rank->config().layers[i].kind == kind) Poison(rank->kv().layer(i), page, 1);
    }
  }
}

void RankGroup::PoisonAllPages() {
  for (const auto& rank : ranks_) {
    for (int i = 0; i < rank->config().num_layers; ++i) {
      Poison(rank->kv().layer(i), 0, rank->kv().layer(i).num_pages);
    }
  }
}

TestPages::TestPages(RankGroup& group, Contents contents, uint32_t seed)
    : group_(group), contents_(contents) {
  if (contents == Contents::kPoisoned) group.PoisonAllPages();
  free_global_.resize(group.options().pages);
  std::iota(free_global_.begin(), free_global_.end(), 0);
  free_sliding_ = free_global_;
  std::mt19937 random(seed);
  std::shuffle(free_global_.begin(), free_global_.end(), random);
  std::shuffle(free_sliding_.begin(), free_sliding_.end(), random);
}

int TestPages::Take(AttentionKind kind) {
  std::vector<int>& free = Free(kind);
  FACET_CHECK(!free.empty()) << "out of " << Name(kind) << " pages";
  const int page = free.back();
  free.pop_back();
  return page;
}

void TestPages::GiveBack(AttentionKind kind, int page) {
  if (contents_ == Contents::kPoisoned) group_.PoisonPage(kind, page);
  Free(kind).push_back(page);
}

TestSequence::~TestSequence() {
  for (size_t block = shared_blocks_; block < global_.size(); ++block) {
    pages_.GiveBack(AttentionKind::kGlobal, global_[block]);
    if (sliding_[block] >= 0) pages_.GiveBack(AttentionKind::kSliding, sliding_[block]);
  }
}

TestSequence::TestSequence(const TestSequence& parent, StepPlan& plan)
    : window_(parent.window_),
      page_tokens_(parent.page_tokens_),
      pages_(parent.pages_),
      position_(parent.position_),
      shared_blocks_(parent.position_ / parent.page_tokens_),
      global_(parent.global_.begin(), parent.global_.begin() + shared_blocks_),
      sliding_(parent.sliding_.begin(), parent.sliding_.begin() + shared_blocks_) {
  if (position_ % page_tokens_ == 0) return;
  global_.push_back(pages_.Take(AttentionKind::kGlobal));
  sliding_.push_back(pages_.Take(AttentionKind::kSliding));
  plan.global_copies.push_back({parent.global_[shared_blocks_], global_.back()});
  plan.sliding_copies.push_back({parent.sliding_[shared_blocks_], sliding_.back()});
}

SequenceStep TestSequence::Step(const std::vector<int32_t>& tokens, int logit_rows) {
  const auto count = static_cast<int>(tokens.size());
  for (size_t block = shared_blocks_; block < sliding_.size(); ++block) {
    const int end = static_cast<int>(block + 1) * page_tokens_;
    if (sliding_[block] < 0 || end > position_ - window_ + 1) continue;
    pages_.GiveBack(AttentionKind::kSliding, sliding_[block]);
    sliding_[block] = -1;
  }
  while (static_cast<int>(global_.size()) * page_tokens_ < position_ + count) {
    global_.push_back(pages_.Take(AttentionKind::kGlobal));
    sliding_.push_back(pages_.Take(AttentionKind::kSliding));
  }
  SequenceStep step;
  step.start_position = position_;
  step.tokens = tokens;
  step.logits_from = count - logit_rows;
  step.global_pages = global_;
  step.sliding_pages = sliding_;
  position_ += count;
  return step;
}

}  // namespace facet::testing
