#include "shard/scheduler/scheduler_options.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace facet {

absl::Status CheckRange(const char* name, int value, int low, int high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " is ", value, ", must be in [", low, ", ", high, "]"));
}

absl::Status SchedulerOptions::Validate() const {
  constexpr int kMax = 1 << 24;
  FACET_RETURN_IF_ERROR(CheckRange("max_step_tokens", max_step_tokens, 1, kMax));
  // So that each running sequence may advance in every step.
  FACET_RETURN_IF_ERROR(
      CheckRange("max_running_sequences", max_running_sequences, 1, max_step_tokens));
  if (max_logit_rows != 0) {
    FACET_RETURN_IF_ERROR(
        CheckRange("max_logit_rows", max_logit_rows, max_running_sequences, kMax));
  }
  FACET_RETURN_IF_ERROR(CheckRange("max_queue", max_queue, 1, kMax));
  FACET_RETURN_IF_ERROR(CheckRange("page_tokens", page_tokens, 1, 1 << 16));
  FACET_RETURN_IF_ERROR(CheckRange("global_pages", global_pages, 0, kMax));
  FACET_RETURN_IF_ERROR(CheckRange("sliding_pages", sliding_pages, 0, kMax));
  FACET_RETURN_IF_ERROR(CheckRange("max_context", max_context, 2, kMax));
  // So that any request fits into an empty queue.
  FACET_RETURN_IF_ERROR(CheckRange("max_queue_tokens", max_queue_tokens, max_context, 1 << 30));
  if (global_pages == 0 && sliding_pages == 0) {
    return absl::InvalidArgumentError("global_pages and sliding_pages are both 0");
  }
  if (sliding_pages > 0) {
    FACET_RETURN_IF_ERROR(CheckRange("sliding_window", sliding_window, 1, kMax));
  }
  if (!(priority_step >= absl::ZeroDuration() && priority_step <= absl::Hours(24))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "priority_step is ", absl::FormatDuration(priority_step), ", must be in [0, 24h]"));
  }
  return absl::OkStatus();
}

KvLayout SchedulerOptions::layout() const {
  KvLayout layout;
  layout.page_tokens = page_tokens;
  layout.has_global = global_pages > 0;
  layout.has_sliding = sliding_pages > 0;
  layout.sliding_window = sliding_window;
  return layout;
}

}  // namespace facet
