#include "services/client/bench_command.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "proto/facet/v1/generation.grpc.pb.h"
#include "proto/facet/v1/models.grpc.pb.h"
#include "services/client/bench_report.h"
#include "services/client/command.h"
#include "services/serving/status_to_grpc.h"

namespace facet {
namespace {

constexpr int kPromptTokens = 128;

struct Arguments {
  Connection connection;
  std::optional<int32_t> concurrency;
  std::optional<int32_t> requests;
  std::optional<int32_t> prompt_tokens;
  std::optional<int32_t> output_tokens;
  std::optional<int32_t> shared_prefix;
  std::optional<int32_t> n;
  std::optional<uint64_t> seed;
  std::optional<double> temperature;
  bool json = false;
};

struct Load {
  int concurrency = 0;
  int requests = 0;
  int prompt_tokens = 0;
  int output_tokens = 0;
  int shared_prefix = 0;  // tokens at the begin of each prompt that are the same
  int n = 1;
  uint64_t seed = 0;
  double temperature = 0;
};

absl::Status CheckPositive(const char* flag, const std::optional<int32_t>& value) {
  if (!value.has_value() || *value >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", flag, " must be 1 or more"));
}

absl::Status Check(const Arguments& a) {
  FACET_RETURN_IF_ERROR(CheckPositive("concurrency", a.concurrency));
  FACET_RETURN_IF_ERROR(CheckPositive("requests", a.requests));
  FACET_RETURN_IF_ERROR(CheckPositive("prompt-tokens", a.prompt_tokens));
  FACET_RETURN_IF_ERROR(CheckPositive("output-tokens", a.output_tokens));
  FACET_RETURN_IF_ERROR(CheckPositive("n", a.n));
  if (a.shared_prefix.value_or(0) < 0 ||
      a.shared_prefix.value_or(0) > a.prompt_tokens.value_or(kPromptTokens)) {
    return absl::InvalidArgumentError("--shared-prefix must be 0 to --prompt-tokens");
  }
  if (a.concurrency.value_or(1) > 1024) {
    return absl::InvalidArgumentError("--concurrency must be 1024 or less");
  }
  return a.connection.Validate();
}

// A prompt that depends on the seed and the request's number alone.
v1::GenerateRequest MakeRequest(const Load& load, int vocab_size, int number) {
  const auto generator = [&load](int stream) {
    std::seed_seq seed{static_cast<uint32_t>(load.seed), static_cast<uint32_t>(load.seed >> 32),
                       static_cast<uint32_t>(stream)};
    return std::mt19937(seed);
  };
  std::mt19937 shared = generator(-1);
  std::mt19937 own = generator(number);
  std::uniform_int_distribution<int32_t> id(0, vocab_size - 1);
  v1::GenerateRequest request;
  v1::TokenIds* prompt = request.mutable_prompt()->mutable_token_ids();
  for (int i = 0; i < load.prompt_tokens; ++i) {
    prompt->add_ids(id(i < load.shared_prefix ? shared : own));
  }
  request.set_n(load.n);
  request.mutable_stopping()->set_max_tokens(load.output_tokens);
  request.mutable_stopping()->set_ignore_eos(true);
  request.mutable_sampling()->set_temperature(load.temperature);
  request.mutable_sampling()->set_seed(load.seed + static_cast<uint64_t>(number));
  return request;
}

absl::StatusOr<BenchSample> RunOne(v1::Generation::Stub* stub, const Connection& connection,
                                   const v1::GenerateRequest& request) {
  grpc::ClientContext context;
  connection.Prepare(&context);
  BenchSample sample;
  const absl::Time begin = absl::Now();
  std::map<int32_t, absl::Time> last;  // message with tokens, of each completion
  absl::Duration generating;           // behind the first messages, all completions together
  int64_t later_tokens = 0;
  const auto reader = stub->Generate(&context, request);
  v1::GenerateResponse response;
  while (reader->Read(&response)) {
    if (response.has_end()) {
      sample.prompt_tokens = response.end().usage().prompt_tokens();
      sample.completion_tokens = response.end().usage().completion_tokens();
    }
    if (!response.has_delta() || response.delta().token_ids().empty()) continue;
    const absl::Time now = absl::Now();
    if (last.empty()) sample.time_to_first_token = absl::ToDoubleSeconds(now - begin);
    const auto [before, is_first] = last.try_emplace(response.delta().index(), now);
    if (is_first) continue;
    sample.gaps.push_back(absl::ToDoubleSeconds(now - before->second));
    generating += now - before->second;
    later_tokens += response.delta().token_ids_size();
    before->second = now;
  }
  const grpc::Status status = reader->Finish();
  if (!status.ok()) return FromGrpcStatus(status);
  sample.total = absl::ToDoubleSeconds(absl::Now() - begin);
  if (later_tokens > 0) {
    sample.time_per_output_token =
        absl::ToDoubleSeconds(generating) / static_cast<double>(later_tokens);
  }
  return sample;
}

BenchReport Run(const Load& load, const Connection& connection,
                const std::shared_ptr<grpc::Channel>& channel, int vocab_size) {
  BenchReport report;
  report.concurrency = load.concurrency;
  std::mutex mutex;
  std::atomic<int> next{0};
  const auto caller = [&] {
    const auto stub = v1::Generation::NewStub(channel);
    for (int number = next++; number < load.requests; number = next++) {
      const absl::StatusOr<BenchSample> sample =
          RunOne(stub.get(), connection, MakeRequest(load, vocab_size, number));
      std::lock_guard<std::mutex> lock(mutex);
      if (sample.ok()) {
        report.samples.push_back(*sample);
      } else if (report.errors[absl::StatusCodeToString(sample.status().code())]++ == 0) {
        std::fprintf(stderr, "facet: %s\n", sample.status().ToString().c_str());
      }
    }
  };
  const absl::Time begin = absl::Now();
  std::vector<std::thread> callers;
  for (int i = 0; i < std::min(load.concurrency, load.requests); ++i) callers.emplace_back(caller);
  for (std::thread& thread : callers) thread.join();
  report.wall_seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  return report;
}

}  // namespace

int RunBench(const std::vector<std::string>& arguments) {
  Arguments a;
  FlagSet flags;
  a.connection.AddFlags(&flags);
  flags.Int("concurrency", "N", "requests at the same time (default 1)", &a.concurrency);
  flags.Int("requests", "N", "requests in all (default: 8 for each at the same time)", &a.requests);
  flags.Int("prompt-tokens", "N", "tokens of each prompt (default 128)", &a.prompt_tokens);
  flags.Int("output-tokens", "N", "tokens to generate for each (default 64)", &a.output_tokens);
  flags.Int("shared-prefix", "N", "of the tokens of each prompt, the same in all (default 0)",
            &a.shared_prefix);
  flags.Int("n", "N", "completions of each prompt (default 1)", &a.n);
  flags.Uint64("seed", "N", "of the prompts and the sampling (default 1)", &a.seed);
  flags.Number("temperature", "T", "default 0: greedy", &a.temperature);
  flags.Switch("json", "print one JSON object", &a.json);
  std::vector<std::string> positional;
  if (const auto exit = ParseCommand("bench [flags]", flags, arguments, /*max_positional=*/0,
                                     &positional, [&a] { return Check(a); })) {
    return *exit;
  }
  Load load;
  load.concurrency = a.concurrency.value_or(1);
  load.requests = a.requests.value_or(8 * load.concurrency);
  load.prompt_tokens = a.prompt_tokens.value_or(kPromptTokens);
  load.output_tokens = a.output_tokens.value_or(64);
  load.shared_prefix = a.shared_prefix.value_or(0);
  load.n = a.n.value_or(1);
  load.seed = a.seed.value_or(1);
  load.temperature = a.temperature.value_or(0);

  const std::shared_ptr<grpc::Channel> channel = a.connection.Open();
  grpc::ClientContext context;
  a.connection.Prepare(&context);
  v1::Model model;
  const grpc::Status status =
      v1::Models::NewStub(channel)->GetModel(&context, v1::GetModelRequest(), &model);
  if (!status.ok()) return ReportFailure(status, context);
  const BenchReport report = Run(load, a.connection, channel, model.vocab_size());
  std::printf("%s",
              a.json ? absl::StrCat(ToJson(report).dump(), "\n").c_str() : ToTable(report).c_str());
  return report.samples.empty() ? kExitFailed : kExitOk;
}

}  // namespace facet
