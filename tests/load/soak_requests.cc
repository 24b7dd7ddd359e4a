#include "tests/load/soak_requests.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

namespace facet::testing {
namespace {

using Rng = std::mt19937;

int Uniform(Rng& rng, int low, int high) { return std::uniform_int_distribution<>(low, high)(rng); }
bool OneIn(Rng& rng, int n) { return Uniform(rng, 1, n) == 1; }
double Real(Rng& rng, double low, double high) {
  return std::uniform_real_distribution<>(low, high)(rng);
}

std::vector<int32_t> Tokens(Rng& rng, int count, int vocab_size) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t& token : tokens) token = Uniform(rng, 4, vocab_size - 1);
  return tokens;
}

void DrawPrompt(Rng& rng, const std::vector<std::vector<int32_t>>& prefixes,
                const SoakLimits& limits, v1::GenerateRequest* request) {
  std::vector<int32_t> prompt;
  if (!OneIn(rng, 3)) prompt = prefixes[Uniform(rng, 0, static_cast<int>(prefixes.size()) - 1)];
  const int room = limits.max_prompt - static_cast<int>(prompt.size());
  const int tail = OneIn(rng, 4) ? Uniform(rng, 1, room) : Uniform(rng, 1, std::min(24, room));
  const std::vector<int32_t> own = Tokens(rng, tail, limits.vocab_size);
  auto* ids = request->mutable_prompt()->mutable_token_ids()->mutable_ids();
  ids->Add(prompt.begin(), prompt.end());
  ids->Add(own.begin(), own.end());
  if (OneIn(rng, 3)) request->set_cache_salt(OneIn(rng, 2) ? "tenant a" : "tenant b");
}

void DrawSampling(Rng& rng, const SoakLimits& limits, v1::SamplingParams* sampling) {
  sampling->set_seed(rng());
  sampling->set_temperature(OneIn(rng, 3) ? 0 : Real(rng, 0.3, 1.5));
  sampling->set_top_k(OneIn(rng, 2) ? 0 : Uniform(rng, 1, 64));
  sampling->set_top_p(OneIn(rng, 2) ? 1 : Real(rng, 0.5, 1));
  if (OneIn(rng, 4)) sampling->set_min_p(Real(rng, 0, 0.2));
  if (OneIn(rng, 4)) sampling->set_repetition_penalty(Real(rng, 0.8, 1.5));
  if (OneIn(rng, 4)) sampling->set_presence_penalty(Real(rng, -1, 1));
  if (OneIn(rng, 4)) sampling->set_frequency_penalty(Real(rng, -1, 1));
  if (OneIn(rng, 4)) {
    for (int i = Uniform(rng, 1, 4); i > 0; --i) {
      const int token = Uniform(rng, 0, limits.vocab_size - 1);
      (*sampling->mutable_logit_bias())[token] = static_cast<float>(Real(rng, -20, 5));
    }
  }
}

void DrawStopping(Rng& rng, const SoakLimits& limits, v1::StoppingParams* stopping) {
  const int max_tokens =
      OneIn(rng, 5) ? Uniform(rng, 1, limits.max_tokens) : Uniform(rng, 1, limits.max_tokens / 4);
  stopping->set_max_tokens(max_tokens);
  if (OneIn(rng, 3)) stopping->set_min_tokens(Uniform(rng, 0, max_tokens));
  stopping->set_ignore_eos(OneIn(rng, 2));
  for (int i = OneIn(rng, 3) ? 20 : 0; i > 0; --i) {
    stopping->add_stop_token_ids(Uniform(rng, 0, limits.vocab_size - 1));
  }
  if (OneIn(rng, 4) && limits.stop_strings) {
    for (const char* stop : {"e", " a", "th"}) stopping->add_stop(stop);
  }
}

v1::GenerateRequest SmallRequest() {
  v1::GenerateRequest request;
  for (const int32_t token : {5, 6, 7}) {
    request.mutable_prompt()->mutable_token_ids()->add_ids(token);
  }
  request.mutable_stopping()->set_max_tokens(4);
  return request;
}

}  // namespace

std::vector<v1::GenerateRequest> MakeSoakRequests(int count, const SoakLimits& limits,
                                                  uint32_t seed) {
  Rng rng(seed);
  std::vector<std::vector<int32_t>> prefixes;
  for (int i = 0; i < 6; ++i) {
    prefixes.push_back(Tokens(rng, Uniform(rng, 8, limits.max_prompt / 2), limits.vocab_size));
  }
  std::vector<v1::GenerateRequest> requests(static_cast<size_t>(count));
  for (v1::GenerateRequest& request : requests) {
    DrawPrompt(rng, prefixes, limits, &request);
    DrawSampling(rng, limits, request.mutable_sampling());
    DrawStopping(rng, limits, request.mutable_stopping());
    if (OneIn(rng, 5)) request.set_n(Uniform(rng, 2, 5));
    if (OneIn(rng, 3)) request.set_logprobs(Uniform(rng, 0, 5));
    if (OneIn(rng, 10)) request.set_prompt_logprobs(Uniform(rng, 0, 2));
    request.set_priority(Uniform(rng, -3, 3));
  }
  return requests;
}

std::vector<BadRequest> MakeBadRequests(const SoakLimits& limits) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  using Change = std::function<void(v1::GenerateRequest&)>;
  const std::vector<std::pair<const char*, Change>> changes = {
      {"prompt", [](auto& r) { r.mutable_prompt()->Clear(); }},
      {"token_ids",
       [&](auto& r) { r.mutable_prompt()->mutable_token_ids()->add_ids(limits.vocab_size); }},
      {"temperature", [=](auto& r) { r.mutable_sampling()->set_temperature(kNan); }},
      {"top_p", [](auto& r) { r.mutable_sampling()->set_top_p(1.5); }},
      {"repetition_penalty", [](auto& r) { r.mutable_sampling()->set_repetition_penalty(0); }},
      {"max_tokens", [](auto& r) { r.mutable_stopping()->set_max_tokens(1 << 20); }},
      {"min_tokens", [](auto& r) { r.mutable_stopping()->set_min_tokens(5); }},
      {"stop", [](auto& r) { r.mutable_stopping()->add_stop(""); }},
      {"logprobs", [](auto& r) { r.set_logprobs(21); }},
      {"prompt_logprobs", [](auto& r) { r.set_prompt_logprobs(-1); }},
      {"n", [](auto& r) { r.set_n(17); }},
      {"cache_salt", [](auto& r) { r.set_cache_salt(std::string(257, 's')); }},
      {"priority", [](auto& r) { r.set_priority(101); }},
  };
  std::vector<BadRequest> bad;
  for (const auto& [field, change] : changes) {
    bad.push_back({field, SmallRequest()});
    change(bad.back().request);
  }
  return bad;
}

}  // namespace facet::testing
