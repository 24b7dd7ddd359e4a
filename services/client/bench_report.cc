#include "services/client/bench_report.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace facet {
namespace {

struct Distribution {
  double mean = 0, p50 = 0, p90 = 0, p99 = 0, max = 0;
};

Distribution Describe(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  Distribution out;
  out.mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  out.p50 = Quantile(values, 0.5);
  out.p90 = Quantile(values, 0.9);
  out.p99 = Quantile(values, 0.99);
  out.max = values.back();
  return out;
}

nlohmann::ordered_json ToJson(const Distribution& d) {
  return {{"mean", d.mean}, {"p50", d.p50}, {"p90", d.p90}, {"p99", d.p99}, {"max", d.max}};
}

// All that is told, computed once.
struct Summary {
  explicit Summary(const BenchReport& report) {
    std::vector<double> first, gap, per_token, total;
    for (const BenchSample& sample : report.samples) {
      first.push_back(sample.time_to_first_token);
      gap.insert(gap.end(), sample.gaps.begin(), sample.gaps.end());
      if (sample.time_per_output_token > 0) per_token.push_back(sample.time_per_output_token);
      total.push_back(sample.total);
      output_tokens += sample.completion_tokens;
      prompt_tokens += sample.prompt_tokens;
    }
    for (const auto& [code, count] : report.errors) errors += count;
    time_to_first_token = Describe(std::move(first));
    inter_token_latency = Describe(std::move(gap));
    time_per_output_token = Describe(std::move(per_token));
    request = Describe(std::move(total));
    const double wall = report.wall_seconds > 0 ? report.wall_seconds : 1;
    requests_per_second = static_cast<double>(report.samples.size()) / wall;
    output_tokens_per_second = static_cast<double>(output_tokens) / wall;
    total_tokens_per_second = static_cast<double>(output_tokens + prompt_tokens) / wall;
  }

  Distribution time_to_first_token, inter_token_latency, time_per_output_token, request;
  int errors = 0;
  int64_t output_tokens = 0, prompt_tokens = 0;
  double requests_per_second = 0, output_tokens_per_second = 0, total_tokens_per_second = 0;
};

void AppendRow(const char* name, const Distribution& d, std::string* out) {
  absl::StrAppendFormat(out, "%-28s %10.3f %10.3f %10.3f %10.3f %10.3f\n", name, 1e3 * d.mean,
                        1e3 * d.p50, 1e3 * d.p90, 1e3 * d.p99, 1e3 * d.max);
}

}  // namespace

double Quantile(absl::Span<const double> sorted, double q) {
  if (sorted.empty()) return 0;
  const double place = q * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(std::floor(place));
  const size_t above = std::min(below + 1, sorted.size() - 1);
  const double share = place - static_cast<double>(below);
  return sorted[below] + share * (sorted[above] - sorted[below]);
}

nlohmann::ordered_json ToJson(const BenchReport& report) {
  const Summary summary(report);
  nlohmann::ordered_json out;
  out["concurrency"] = report.concurrency;
  out["requests"] = report.samples.size();
  out["errors"] = summary.errors;
  out["error_codes"] = report.errors;
  out["wall_seconds"] = report.wall_seconds;
  out["prompt_tokens"] = summary.prompt_tokens;
  out["output_tokens"] = summary.output_tokens;
  out["requests_per_second"] = summary.requests_per_second;
  out["output_tokens_per_second"] = summary.output_tokens_per_second;
  out["total_tokens_per_second"] = summary.total_tokens_per_second;
  out["time_to_first_token_seconds"] = ToJson(summary.time_to_first_token);
  out["inter_token_latency_seconds"] = ToJson(summary.inter_token_latency);
  out["time_per_output_token_seconds"] = ToJson(summary.time_per_output_token);
  out["request_seconds"] = ToJson(summary.request);
  return out;
}

std::string ToTable(const BenchReport& report) {
  const Summary summary(report);
  std::string out = absl::StrFormat(
      "%d requests at concurrency %d in %.2f s, %d errors\n"
      "%.2f requests/s, %.1f output tokens/s, %.1f tokens/s with prompts\n\n",
      report.samples.size(), report.concurrency, report.wall_seconds, summary.errors,
      summary.requests_per_second, summary.output_tokens_per_second,
      summary.total_tokens_per_second);
  absl::StrAppendFormat(&out, "%-28s %10s %10s %10s %10s %10s\n", "milliseconds", "mean", "p50",
                        "p90", "p99", "max");
  AppendRow("time to first token", summary.time_to_first_token, &out);
  AppendRow("between messages", summary.inter_token_latency, &out);
  AppendRow("per output token", summary.time_per_output_token, &out);
  AppendRow("request", summary.request, &out);
  for (const auto& [code, count] : report.errors) {
    absl::StrAppend(&out, "error ", code, ": ", count, "\n");
  }
  return out;
}

}  // namespace facet
