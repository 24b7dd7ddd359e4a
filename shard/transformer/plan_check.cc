#include "shard/transformer/plan_check.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/transformer/step_batch.h"

namespace facet {
namespace {

template <typename... Args>
absl::Status Bad(const Args&... args) {
  return absl::InternalError(absl::StrCat("step plan: ", args...));
}

bool Uses(const ModelConfig& config, AttentionKind kind) {
  return std::any_of(config.layers.begin(), config.layers.end(),
                     [kind](const LayerConfig& layer) { return layer.kind == kind; });
}

}  // namespace

PlanChecker::PlanChecker(const ModelConfig& config, const RankOptions& options)
    : vocab_size_(config.vocab_size),
      hidden_size_(config.hidden_size),
      max_positions_(config.max_position_embeddings),
      options_(options) {
  global_.name = "global";
  global_.num_pages = options.global_pages;
  global_.used = Uses(config, AttentionKind::kGlobal);
  sliding_.name = "sliding";
  sliding_.num_pages = options.sliding_pages;
  sliding_.window = config.sliding_window;
  sliding_.used = Uses(config, AttentionKind::kSliding);
  for (Pool* pool : {&global_, &sliding_}) {
    for (auto* checks : {&pool->written_in_check, &pool->source_in_check, &pool->target_in_check}) {
      checks->resize(std::max(0, pool->num_pages));
    }
  }
}

absl::Status PlanChecker::Check(const StepPlan& plan) {
  ++checks_;
  if (plan.kind != StepPlan::Kind::kRun) {
    return Bad("kind ", static_cast<int>(plan.kind), " is not one to run");
  }
  if (plan.sequences.empty()) return Bad("no sequences");
  FACET_RETURN_IF_ERROR(CheckCopies(plan.global_copies, global_));
  FACET_RETURN_IF_ERROR(CheckCopies(plan.sliding_copies, sliding_));
  for (const SequenceStep& sequence : plan.sequences) {
    FACET_RETURN_IF_ERROR(CheckSequence(sequence));
  }
  if (const int64_t rows = CountRows(plan, StepRows::kAll); rows > options_.max_step_tokens) {
    return Bad(rows, " tokens, at most ", options_.max_step_tokens, " are possible");
  }
  if (const int64_t rows = CountRows(plan, StepRows::kWithLogits); rows > options_.max_logit_rows) {
    return Bad(rows, " rows with logits, at most ", options_.max_logit_rows, " are possible");
  }
  return absl::OkStatus();
}

absl::Status PlanChecker::CheckCopies(absl::Span<const PageCopy> copies, Pool& pool) {
  for (const PageCopy& copy : copies) {
    for (const int32_t page : {copy.from, copy.to}) {
      if (page < 0 || page >= pool.num_pages) {
        return Bad(pool.name, " page ", page, " of a copy does not exist, the pool has ",
                   pool.num_pages);
      }
    }
    if (pool.target_in_check[copy.to] == checks_) {
      return Bad(pool.name, " page ", copy.to, " is the target of two copies");
    }
    pool.source_in_check[copy.from] = checks_;
    pool.target_in_check[copy.to] = checks_;
  }
  for (const PageCopy& copy : copies) {
    if (pool.source_in_check[copy.to] == checks_) {
      return Bad(pool.name, " page ", copy.to, " is both source and target of copies");
    }
  }
  return absl::OkStatus();
}

absl::Status PlanChecker::CheckSequence(const SequenceStep& sequence) {
  FACET_RETURN_IF_ERROR(CheckTokens(sequence));
  FACET_RETURN_IF_ERROR(CheckSoftTokens(sequence));
  if (global_.used) FACET_RETURN_IF_ERROR(CheckPages(sequence, sequence.global_pages, global_));
  if (sliding_.used) FACET_RETURN_IF_ERROR(CheckPages(sequence, sequence.sliding_pages, sliding_));
  return absl::OkStatus();
}

absl::Status PlanChecker::CheckTokens(const SequenceStep& sequence) const {
  const auto count = static_cast<int64_t>(sequence.tokens.size());
  if (count == 0) return Bad("sequence ", sequence.sequence_id, " has no tokens");
  if (sequence.start_position < 0 || sequence.start_position + count > max_positions_) {
    return Bad("sequence ", sequence.sequence_id, ": positions [", sequence.start_position, ", ",
               sequence.start_position + count, ") outside of the context of ", max_positions_);
  }
  if (sequence.logits_from < 0 || sequence.logits_from > count) {
    return Bad("sequence ", sequence.sequence_id, ": logits from row ", sequence.logits_from,
               " of ", count);
  }
  for (const int32_t id : sequence.tokens) {
    if (id < 0 || id >= vocab_size_) {
      return Bad("sequence ", sequence.sequence_id, ": token id ", id,
                 " outside of the vocabulary of ", vocab_size_);
    }
  }
  return absl::OkStatus();
}

absl::Status PlanChecker::CheckSoftTokens(const SequenceStep& sequence) const {
  int64_t place = sequence.start_position;
  const int64_t end = place + static_cast<int64_t>(sequence.tokens.size());
  for (const SoftTokens& run : sequence.soft_tokens) {
    if (run.position < place || run.count < 1 || run.end() > end) {
      return Bad("sequence ", sequence.sequence_id, ": soft tokens at positions [", run.position,
                 ", ", run.end(), ") outside of [", place, ", ", end, ")");
    }
    if (run.dtype != DType::kF32 && run.dtype != DType::kBF16) {
      return Bad("sequence ", sequence.sequence_id, ": soft tokens of type ", Name(run.dtype));
    }
    const int64_t bytes =
        int64_t{run.count} * hidden_size_ * static_cast<int64_t>(SizeOf(run.dtype));
    if (static_cast<int64_t>(run.rows.size()) != bytes) {
      return Bad("sequence ", sequence.sequence_id, ": ", run.rows.size(), " bytes of ", run.count,
                 " soft tokens of ", hidden_size_, " ", Name(run.dtype), ", must be ", bytes);
    }
    place = run.end();
  }
  return absl::OkStatus();
}

absl::Status PlanChecker::CheckPages(const SequenceStep& sequence, absl::Span<const int32_t> pages,
                                     Pool& pool) {
  const int64_t first = sequence.start_position;
  const int64_t last = first + static_cast<int64_t>(sequence.tokens.size()) - 1;
  const int64_t last_block = last / options_.page_tokens;
  if (static_cast<int64_t>(pages.size()) <= last_block) {
    return Bad("sequence ", sequence.sequence_id, ": ", pages.size(), " ", pool.name, " pages of ",
               options_.page_tokens, " tokens do not reach position ", last);
  }
  const int64_t first_key = pool.window > 0 ? std::max<int64_t>(0, first - pool.window + 1) : 0;
  for (int64_t block = first_key / options_.page_tokens; block <= last_block; ++block) {
    const int32_t page = pages[block];
    if (page < 0 || page >= pool.num_pages) {
      return Bad("sequence ", sequence.sequence_id, ": ", pool.name, " page ", page, " of block ",
                 block, " does not exist, the pool has ", pool.num_pages);
    }
    if (block < first / options_.page_tokens) continue;
    if (pool.written_in_check[page] == checks_) {
      return Bad("sequence ", sequence.sequence_id, ": ", pool.name, " page ", page,
                 " is written twice");
    }
    pool.written_in_check[page] = checks_;
  }
  return absl::OkStatus();
}

}  // namespace facet
