#ifndef FACET_SERVICES_CLIENT_BENCH_REPORT_H_
#define FACET_SERVICES_CLIENT_BENCH_REPORT_H_

// What a load run measured, and how it is told.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "nlohmann/json_fwd.hpp"

namespace facet {

// One request that ended well. Times in seconds.
struct BenchSample {
  double time_to_first_token = 0;
  std::vector<double> gaps;          // between two messages with tokens
  double time_per_output_token = 0;  // mean after the first message; 0: there was no second one
  double total = 0;
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
};

struct BenchReport {
  int concurrency = 0;
  double wall_seconds = 0;
  std::vector<BenchSample> samples;
  std::map<std::string, int> errors;  // by the name of the gRPC status code
};

// The q-th quantile (q in [0, 1]) with linear interpolation between neighbours; 0 of nothing. Sorts
// nothing: `sorted` is ascending.
double Quantile(absl::Span<const double> sorted, double q);

// Keys: concurrency, requests, errors, error_codes, wall_seconds, requests_per_second,
// output_tokens_per_second, total_tokens_per_second; time_to_first_token_seconds,
// inter_token_latency_seconds, time_per_output_token_seconds and request_seconds with mean, p50,
// p90, p99 and max each.
nlohmann::ordered_json ToJson(const BenchReport& report);

// The same for people; times in milliseconds.
std::string ToTable(const BenchReport& report);

}  // namespace facet

#endif  // FACET_SERVICES_CLIENT_BENCH_REPORT_H_
