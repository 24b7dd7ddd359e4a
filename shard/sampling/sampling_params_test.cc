#include "shard/sampling/sampling_params.h"

#include <limits>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr int kVocab = 1000;
using Params = SamplingParams;

struct RefusedCase {
  std::string name;
  void (*change)(Params&);
  std::string message;
};
class RefusedParamsTest : public ::testing::TestWithParam<RefusedCase> {};

TEST_P(RefusedParamsTest, NameFieldValueAndLimit) {
  Params params;
  GetParam().change(params);
  EXPECT_THAT(params.Validate(kVocab),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
}
INSTANTIATE_TEST_SUITE_P(
    Fields, RefusedParamsTest,
    ::testing::ValuesIn(std::vector<RefusedCase>{
        {"temperature_nan", [](Params& p) { p.temperature = kNan; }, "temperature is nan"},
        {"temperature_inf", [](Params& p) { p.temperature = kInf; }, "temperature is inf"},
        {"temperature_negative", [](Params& p) { p.temperature = -0.5; },
         "temperature is -0.5, must be a finite number of at least 0"},
        {"top_k_negative", [](Params& p) { p.top_k = -1; }, "top_k is -1, must be at least 0"},
        {"top_p_zero", [](Params& p) { p.top_p = 0; }, "top_p is 0, must be in (0, 1]"},
        {"top_p_above", [](Params& p) { p.top_p = 1.5; }, "top_p is 1.5"},
        {"top_p_nan", [](Params& p) { p.top_p = kNan; }, "top_p is nan"},
        {"min_p_negative", [](Params& p) { p.min_p = -0.1; }, "min_p is -0.1, must be in [0, 1]"},
        {"min_p_nan", [](Params& p) { p.min_p = kNan; }, "min_p is nan"},
        {"repetition_zero", [](Params& p) { p.repetition_penalty = 0; },
         "repetition_penalty is 0, must be in (0, 10]"},
        {"repetition_inf", [](Params& p) { p.repetition_penalty = kInf; },
         "repetition_penalty is inf"},
        {"presence", [](Params& p) { p.presence_penalty = 2.5; },
         "presence_penalty is 2.5, must be in [-2, 2]"},
        {"frequency_nan", [](Params& p) { p.frequency_penalty = kNan; },
         "frequency_penalty is nan"},
        {"bias_token",
         [](Params& p) {
           p.logit_bias = {{kVocab, 1.0f}};
         },
         "logit_bias has token 1000, must be in [0, 1000)"},
        {"bias_negative_token",
         [](Params& p) {
           p.logit_bias = {{-1, 1.0f}};
         },
         "logit_bias has token -1"},
        {"bias_value",
         [](Params& p) {
           p.logit_bias = {{1, 101.0f}};
         },
         "logit_bias is 101, must be in [-100, 100]"},
        {"bias_nan",
         [](Params& p) {
           p.logit_bias = {{1, static_cast<float>(kNan)}};
         },
         "logit_bias is nan"},
        {"bias_twice",
         [](Params& p) {
           p.logit_bias = {{1, 1.0f}, {1, 2.0f}};
         },
         "token 1 twice"},
        {"bias_count",
         [](Params& p) {
           for (int i = 0; i < 1025; ++i) p.logit_bias.push_back({i % kVocab, 0.0f});
         },
         "logit_bias has 1025 entries, must be at most 1024"},
        {"suppressed",
         [](Params& p) {
           p.suppress_tokens = {5, 1000};
         },
         "suppress_tokens has token 1000"},
        {"logprobs_negative", [](Params& p) { p.logprobs = -1; },
         "logprobs is -1, must be in [0, 20]"},
        {"logprobs_many", [](Params& p) { p.logprobs = 21; }, "logprobs is 21"},
    }),
    [](const auto& info) { return info.param.name; });

struct AcceptedCase {
  std::string name;
  void (*change)(Params&);
};
class AcceptedParamsTest : public ::testing::TestWithParam<AcceptedCase> {};

TEST_P(AcceptedParamsTest, AreFine) {
  Params params;
  GetParam().change(params);
  EXPECT_THAT(params.Validate(kVocab), IsOk());
}
INSTANTIATE_TEST_SUITE_P(
    Fields, AcceptedParamsTest,
    ::testing::ValuesIn(std::vector<AcceptedCase>{
        {"defaults", [](Params&) {}},
        {"greedy", [](Params& p) { p.temperature = 0; }},
        {"hot", [](Params& p) { p.temperature = 1e300; }},
        {"top_k_beyond_the_vocabulary", [](Params& p) { p.top_k = 2000000000; }},
        {"edges",
         [](Params& p) {
           p.top_p = 1;
           p.min_p = 1;
           p.repetition_penalty = 10;
           p.presence_penalty = -2;
           p.frequency_penalty = 2;
           p.logit_bias = {{0, -100.0f}, {kVocab - 1, 100.0f}};
           p.suppress_tokens = {0, kVocab - 1, 0};
           p.logprobs = 20;
         }},
        {"smallest", [](Params& p) { p.top_p = p.repetition_penalty = 1e-300; }},
    }),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace facet
