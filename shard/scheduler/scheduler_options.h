#ifndef FACET_SHARD_SCHEDULER_SCHEDULER_OPTIONS_H_
#define FACET_SHARD_SCHEDULER_SCHEDULER_OPTIONS_H_

// The limits within which a scheduler plans.

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "shard/cache/page_demand.h"

namespace facet {

struct SchedulerOptions {
  int max_step_tokens = 512;       // tokens of one step, all sequences together
  int max_running_sequences = 64;  // sequences that hold pages; at most max_step_tokens
  // Rows of logits of one step, those of prompt_logits included; at least max_running_sequences.
  // 0: as many as that.
  int max_logit_rows = 0;
  int max_queue = 256;  // waiting sequences beyond which Add refuses; at least 1
  // Tokens of all waiting sequences beyond which Add refuses; at least max_context.
  int max_queue_tokens = 1 << 24;
  int page_tokens = 16;    // positions per KV page, in both pools
  int global_pages = 0;    // of all sequences; 0: no global layer owns KV
  int sliding_pages = 0;   // of all sequences; 0: no sliding layer owns KV
  int sliding_window = 0;  // keys that a sliding layer sees, the token itself included
  int max_context = 0;     // prompt and generated tokens of one sequence
  bool enable_prefix_cache = true;
  absl::Duration priority_step = absl::Seconds(10);  // waiting that one level of priority skips

  // InvalidArgument that names field, value and limit.
  absl::Status Validate() const;

  int logit_rows() const { return max_logit_rows == 0 ? max_running_sequences : max_logit_rows; }
  KvLayout layout() const;

  // The most tokens of a block that one step must compute whole (PromptMedia): in a step beside all
  // other sequences there is room for so many, and for one more of a prompt before it.
  int max_unsplit_tokens() const { return max_step_tokens - max_running_sequences; }
};

// InvalidArgument unless low <= value <= high.
absl::Status CheckRange(const char* name, int value, int low, int high);

}  // namespace facet

#endif  // FACET_SHARD_SCHEDULER_SCHEDULER_OPTIONS_H_
