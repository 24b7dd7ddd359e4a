#include "tests/sim/trace.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace facet {
namespace {

constexpr char kHeader[] = "arrival_s,prompt_tokens,output_tokens,priority,prefix_id,prefix_tokens";

absl::StatusOr<TraceRequest> ParseLine(absl::string_view line) {
  const std::vector<absl::string_view> fields = absl::StrSplit(line, ',');
  if (fields.size() < 3 || fields.size() > 6) {
    return absl::InvalidArgumentError(absl::StrCat("has ", fields.size(), " fields, not 3 to 6"));
  }
  TraceRequest request;
  int* const numbers[] = {&request.prompt_tokens, &request.output_tokens, &request.priority,
                          &request.prefix_id, &request.prefix_tokens};
  bool good = absl::SimpleAtod(fields[0], &request.arrival_s);
  for (size_t i = 1; i < fields.size(); ++i) {
    good = good && absl::SimpleAtoi(fields[i], numbers[i - 1]);
  }
  if (!good) return absl::InvalidArgumentError(absl::StrCat("has a bad number: ", line));
  if (!(request.arrival_s >= 0 && request.arrival_s < 1e9) || request.prompt_tokens < 1 ||
      request.output_tokens < 1 || request.prefix_tokens < 0 ||
      request.prefix_tokens > request.prompt_tokens) {
    return absl::InvalidArgumentError(absl::StrCat("has a number out of range: ", line));
  }
  return request;
}

int Exponential(std::mt19937_64& random, int mean) {
  const double uniform = (random() >> 11) * 0x1p-53;  // the same in every library
  const double value = -mean * std::log1p(-uniform);
  return static_cast<int>(std::clamp(value, 1.0, 16.0 * mean));
}

}  // namespace

absl::StatusOr<std::vector<TraceRequest>> ParseTrace(absl::string_view csv) {
  std::vector<TraceRequest> trace;
  int line_number = 0;
  for (absl::string_view line : absl::StrSplit(csv, '\n')) {
    ++line_number;
    if (line.empty() || absl::StartsWith(line, "arrival_s")) continue;
    absl::StatusOr<TraceRequest> request = ParseLine(line);
    if (!request.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", line_number, " ", request.status().message()));
    }
    if (!trace.empty() && request->arrival_s < trace.back().arrival_s) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", line_number, " comes before the line before it"));
    }
    trace.push_back(*request);
  }
  return trace;
}

std::string FormatTrace(const std::vector<TraceRequest>& trace) {
  std::string csv = absl::StrCat(kHeader, "\n");
  for (const TraceRequest& r : trace) {
    absl::StrAppendFormat(&csv, "%.6f,%d,%d,%d,%d,%d\n", r.arrival_s, r.prompt_tokens,
                          r.output_tokens, r.priority, r.prefix_id, r.prefix_tokens);
  }
  return csv;
}

std::vector<TraceRequest> MakeTrace(const TraceShape& shape, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto uniform = [&random] { return (random() >> 11) * 0x1p-53; };
  std::vector<TraceRequest> trace;
  double now = 0;
  for (int i = 0; i < shape.requests; ++i) {
    TraceRequest request;
    if (uniform() >= shape.burst) {
      now += -std::log1p(-uniform()) / (shape.requests_per_s * (1 - shape.burst));
    }
    request.arrival_s = now;
    request.prompt_tokens = Exponential(random, shape.mean_prompt_tokens);
    request.output_tokens = Exponential(random, shape.mean_output_tokens);
    if (shape.prefixes > 0 && uniform() < shape.with_prefix) {
      request.prefix_id = 1 + static_cast<int>(random() % shape.prefixes);
      request.prefix_tokens = shape.prefix_tokens;
      request.prompt_tokens += shape.prefix_tokens;
    }
    trace.push_back(request);
  }
  return trace;
}

std::vector<int32_t> PromptOf(const TraceRequest& request, int64_t index) {
  constexpr int kVocabulary = 200000;
  std::vector<int32_t> prompt(request.prompt_tokens);
  std::mt19937 own(static_cast<uint32_t>(1000003 + index));
  std::mt19937 shared(static_cast<uint32_t>(request.prefix_id));
  const int prefix = request.prefix_id == 0 ? 0 : request.prefix_tokens;
  for (int i = 0; i < request.prompt_tokens; ++i) {
    prompt[i] = static_cast<int32_t>((i < prefix ? shared() : own()) % kVocabulary);
  }
  return prompt;
}

}  // namespace facet
