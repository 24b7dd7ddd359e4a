// Replays a trace of requests through the scheduler at modelled step times, or makes such a trace.
// docs/simulator.md says how.

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "base/status_macros.h"
#include "tests/sim/simulator.h"
#include "tests/sim/trace.h"

ABSL_FLAG(std::string, trace, "", "CSV file to replay; empty: a trace made with --seed.");
ABSL_FLAG(std::string, write_trace, "", "File to write the trace to, instead of replaying it.");
ABSL_FLAG(bool, json, false, "Prints the report as JSON.");

// Of a made-up trace.
ABSL_FLAG(uint64_t, seed, 1, "The same seed makes the same trace.");
ABSL_FLAG(int, requests, 1000, "Number of requests.");
ABSL_FLAG(double, requests_per_s, 10, "Rate at which they come.");
ABSL_FLAG(double, burst, 0.1, "Part of them that comes at the time of the one before.");
ABSL_FLAG(int, mean_prompt_tokens, 500, "Mean length of what is not a shared prefix.");
ABSL_FLAG(int, mean_output_tokens, 150, "Mean length of the answers.");
ABSL_FLAG(int, prefixes, 4, "Number of shared prefixes; 0: none.");
ABSL_FLAG(int, prefix_tokens, 256, "Length of a shared prefix.");
ABSL_FLAG(double, with_prefix, 0.5, "Part of the requests that start with a shared prefix.");

// Of the machine.
ABSL_FLAG(double, fixed_ms, 10, "Milliseconds of every step.");
ABSL_FLAG(double, prefill_us, 50, "Microseconds of each prompt token.");
ABSL_FLAG(double, decode_us, 200, "Microseconds of each sequence that generates.");
ABSL_FLAG(double, context_us, 20, "Microseconds of each 1,000 tokens of context in a step.");

// Of the scheduler.
ABSL_FLAG(int, max_step_tokens, 512, "Tokens of one step.");
ABSL_FLAG(int, max_running, 64, "Sequences that run at a time.");
ABSL_FLAG(int, max_queue, 100000, "Sequences that wait beyond which one is refused.");
ABSL_FLAG(int, max_context, 16384, "Tokens of one request.");
ABSL_FLAG(int, page_tokens, 16, "Positions of a KV page.");
ABSL_FLAG(int, global_pages, 8192, "KV pages of the global layers.");
ABSL_FLAG(int, sliding_pages, 8192, "KV pages of the sliding layers.");
ABSL_FLAG(int, sliding_window, 1024, "Keys that a sliding layer sees.");
ABSL_FLAG(bool, prefix_cache, true, "Whether shared prefixes are computed once.");
ABSL_FLAG(bool, plan_ahead, true, "Whether a step is planned while the one before is computed.");

namespace facet {
namespace {

absl::StatusOr<std::vector<TraceRequest>> LoadTrace() {
  if (const std::string path = absl::GetFlag(FLAGS_trace); !path.empty()) {
    std::ifstream file(path);
    if (!file) return absl::NotFoundError("cannot read " + path);
    std::ostringstream csv;
    csv << file.rdbuf();
    return ParseTrace(csv.str());
  }
  TraceShape shape;
  shape.requests = absl::GetFlag(FLAGS_requests);
  shape.requests_per_s = absl::GetFlag(FLAGS_requests_per_s);
  shape.burst = absl::GetFlag(FLAGS_burst);
  shape.mean_prompt_tokens = absl::GetFlag(FLAGS_mean_prompt_tokens);
  shape.mean_output_tokens = absl::GetFlag(FLAGS_mean_output_tokens);
  shape.prefixes = absl::GetFlag(FLAGS_prefixes);
  shape.prefix_tokens = absl::GetFlag(FLAGS_prefix_tokens);
  shape.with_prefix = absl::GetFlag(FLAGS_with_prefix);
  return MakeTrace(shape, absl::GetFlag(FLAGS_seed));
}

SimOptions OptionsFromFlags() {
  SimOptions options;
  options.cost.fixed_s = absl::GetFlag(FLAGS_fixed_ms) * 1e-3;
  options.cost.per_prefill_token_s = absl::GetFlag(FLAGS_prefill_us) * 1e-6;
  options.cost.per_decode_token_s = absl::GetFlag(FLAGS_decode_us) * 1e-6;
  options.cost.per_1k_context_s = absl::GetFlag(FLAGS_context_us) * 1e-6;
  options.scheduler.max_step_tokens = absl::GetFlag(FLAGS_max_step_tokens);
  options.scheduler.max_running_sequences = absl::GetFlag(FLAGS_max_running);
  options.scheduler.max_queue = absl::GetFlag(FLAGS_max_queue);
  options.scheduler.max_queue_tokens = 1 << 30;
  options.scheduler.max_context = absl::GetFlag(FLAGS_max_context);
  options.scheduler.page_tokens = absl::GetFlag(FLAGS_page_tokens);
  options.scheduler.global_pages = absl::GetFlag(FLAGS_global_pages);
  options.scheduler.sliding_pages = absl::GetFlag(FLAGS_sliding_pages);
  options.scheduler.sliding_window = absl::GetFlag(FLAGS_sliding_window);
  options.scheduler.enable_prefix_cache = absl::GetFlag(FLAGS_prefix_cache);
  options.plan_ahead = absl::GetFlag(FLAGS_plan_ahead);
  return options;
}

absl::Status Run() {
  FACET_ASSIGN_OR_RETURN(const std::vector<TraceRequest> trace, LoadTrace());
  if (const std::string path = absl::GetFlag(FLAGS_write_trace); !path.empty()) {
    std::ofstream file(path);
    file << FormatTrace(trace);
    file.close();
    return file ? absl::OkStatus() : absl::UnavailableError("cannot write " + path);
  }
  FACET_ASSIGN_OR_RETURN(const SimReport report, Simulate(OptionsFromFlags(), trace));
  std::fputs((absl::GetFlag(FLAGS_json) ? report.ToJson() : report.ToText()).c_str(), stdout);
  return absl::OkStatus();
}

}  // namespace
}  // namespace facet

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Replays a trace of requests through the scheduler.");
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = facet::Run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}
