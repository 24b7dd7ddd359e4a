#include <string>

#include "absl/strings/str_format.h"
#include "tests/sim/simulator.h"

namespace facet {
namespace {

double PartOf(int64_t part, int64_t all) { return all == 0 ? 0 : static_cast<double>(part) / all; }

std::string TextLine(const char* name, const Percentiles& seconds) {
  return absl::StrFormat("%-14s p50 %9.1f ms   p90 %9.1f ms   p99 %9.1f ms\n", name,
                         1e3 * seconds.p50, 1e3 * seconds.p90, 1e3 * seconds.p99);
}

std::string JsonOf(const Percentiles& seconds) {
  return absl::StrFormat("{\"p50\": %.6f, \"p90\": %.6f, \"p99\": %.6f}", seconds.p50, seconds.p90,
                         seconds.p99);
}

}  // namespace

std::string SimReport::ToText() const {
  std::string text = absl::StrFormat(
      "requests       %d finished, %d refused, %d too long\n"
      "time           %.1f s, %d steps of %.1f tokens\n"
      "throughput     %.1f output tokens/s, %.1f prompt tokens/s, %.2f requests/s\n",
      finished, refused, never_fit, seconds, steps, step_tokens,
      seconds == 0 ? 0 : output_tokens / seconds, seconds == 0 ? 0 : prompt_tokens / seconds,
      seconds == 0 ? 0 : finished / seconds);
  text += TextLine("first token", first_token_s);
  text += TextLine("inter-token", inter_token_s);
  text += TextLine("queue", queue_s);
  absl::StrAppendFormat(&text,
                        "preemptions    %d, %d tokens computed again\n"
                        "prefix cache   %.1f %% of %d prompt tokens, %d evictions\n"
                        "scheduler      %.1f us a step\n",
                        scheduler.preemptions, scheduler.recomputed_tokens,
                        100 * PartOf(scheduler.prefix_hit_tokens, scheduler.prefix_query_tokens),
                        scheduler.prefix_query_tokens, scheduler.evictions, scheduler_us_per_step);
  return text;
}

std::string SimReport::ToJson() const {
  return absl::StrFormat(
      "{\"finished\": %d, \"refused\": %d, \"too_long\": %d, \"seconds\": %.6f, \"steps\": %d, "
      "\"step_tokens\": %.3f, \"output_tokens\": %d, \"prompt_tokens\": %d, "
      "\"first_token_s\": %s, \"inter_token_s\": %s, \"queue_s\": %s, \"preemptions\": %d, "
      "\"recomputed_tokens\": %d, \"prefix_hit_rate\": %.6f, \"evictions\": %d, "
      "\"scheduler_us_per_step\": %.3f}\n",
      finished, refused, never_fit, seconds, steps, step_tokens, output_tokens, prompt_tokens,
      JsonOf(first_token_s), JsonOf(inter_token_s), JsonOf(queue_s), scheduler.preemptions,
      scheduler.recomputed_tokens,
      PartOf(scheduler.prefix_hit_tokens, scheduler.prefix_query_tokens), scheduler.evictions,
      scheduler_us_per_step);
}

}  // namespace facet
