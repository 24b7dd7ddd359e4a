#ifndef FACET_TESTS_SIM_TRACE_H_
#define FACET_TESTS_SIM_TRACE_H_

// Traces: which requests come when. One CSV line each, after a header line:
//
//   arrival_s,prompt_tokens,output_tokens,priority,prefix_id,prefix_tokens
//
// The last three may be left out of a line and are 0 then. Requests with the same prefix_id (not 0)
// start with the same prefix_tokens tokens.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace facet {

struct TraceRequest {
  double arrival_s = 0;  // from the start of the trace; ascending
  int prompt_tokens = 0;
  int output_tokens = 0;
  int priority = 0;
  int prefix_id = 0;
  int prefix_tokens = 0;
};

// InvalidArgument that names the line.
absl::StatusOr<std::vector<TraceRequest>> ParseTrace(absl::string_view csv);
std::string FormatTrace(const std::vector<TraceRequest>& trace);

// What a made-up trace is like.
struct TraceShape {
  int requests = 1000;
  double requests_per_s = 10;    // Poisson arrivals
  double burst = 0.1;            // part of the requests that come at the time of the one before
  int mean_prompt_tokens = 500;  // exponential, between 1 and 16 times this
  int mean_output_tokens = 150;  // the same
  int prefixes = 4;              // shared ones; 0: none
  int prefix_tokens = 256;       // of each: such a request has these before its own prompt
  double with_prefix = 0.5;      // part of the requests
};

// The same for the same seed.
std::vector<TraceRequest> MakeTrace(const TraceShape& shape, uint64_t seed);

// The tokens of the trace's request `index`.
std::vector<int32_t> PromptOf(const TraceRequest& request, int64_t index);

}  // namespace facet

#endif  // FACET_TESTS_SIM_TRACE_H_
