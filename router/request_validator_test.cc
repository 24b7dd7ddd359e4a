#include "router/request_validator.h"

#include <cmath>
#include <functional>
#include <limits>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router/testing/test_model.h"

namespace facet {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

v1::GenerateRequest TextRequest() {
  v1::GenerateRequest request;
  request.mutable_prompt()->set_text("hello");
  return request;
}

struct Case {
  std::string name;
  std::function<void(v1::GenerateRequest&)> change;
  std::vector<std::string> words;  // in the message; none: the request is valid
  absl::StatusCode code = absl::StatusCode::kInvalidArgument;
};

class ValidateTest : public ::testing::TestWithParam<Case> {};

TEST_P(ValidateTest, SaysWhatIsWrong) {
  const std::unique_ptr<ServedModel> model = testing::MakeTestModel();
  RequestLimits limits;
  limits.max_prompt_bytes = 1000;
  const RequestValidator validator(model.get(), limits);
  v1::GenerateRequest request = TextRequest();
  GetParam().change(request);
  const auto spec = validator.Validate(request);
  if (GetParam().words.empty()) {
    EXPECT_THAT(spec, IsOk());
    return;
  }
  EXPECT_EQ(spec.status().code(), GetParam().code) << spec.status();
  for (const std::string& word : GetParam().words) {
    EXPECT_THAT(std::string(spec.status().message()), HasSubstr(word));
  }
}

using Request = v1::GenerateRequest;

// What a case does to a valid request `r`.
#define CHANGE(...) [](Request& r) { __VA_ARGS__; }

std::vector<Case> PromptCases() {
  return {
      {"valid_text", CHANGE(), {}},
      {"no_prompt", CHANGE(r.clear_prompt()), {"prompt", "missing"}},
      {"empty_text", CHANGE(r.mutable_prompt()->set_text("")), {"prompt.text", "empty"}},
      {"empty_ids", CHANGE(r.mutable_prompt()->mutable_token_ids()), {"prompt.token_ids", "empty"}},
      {"ids", CHANGE(r.mutable_prompt()->mutable_token_ids()->add_ids(0)), {}},
      {"negative_id",
       CHANGE(r.mutable_prompt()->mutable_token_ids()->add_ids(3);
              r.mutable_prompt()->mutable_token_ids()->add_ids(-1)),
       {"prompt.token_ids[1]", "-1"}},
      {"id_beyond_the_vocabulary",
       CHANGE(r.mutable_prompt()->mutable_token_ids()->add_ids(1 << 20)),
       {"prompt.token_ids[0]", "1048576", "0 to "}},
      {"text_at_the_limit", CHANGE(r.mutable_prompt()->set_text(std::string(1000, 'x'))), {}},
      {"text_beyond_the_limit",
       CHANGE(r.mutable_prompt()->set_text(std::string(1001, 'x'))),
       {"prompt.text", "1001", "1000"}},
      {"broken_utf8",
       CHANGE(r.mutable_prompt()->set_text("ab\xff")),
       {"prompt.text", "UTF-8", "2"}},
      {"right_model", CHANGE(r.set_model("test-model")), {}},
      {"unknown_model",
       CHANGE(r.set_model("other")),
       {"other", "test-model"},
       absl::StatusCode::kNotFound},
  };
}

std::vector<Case> SamplingCases() {
  return {
      {"temperature_zero", CHANGE(r.mutable_sampling()->set_temperature(0)), {}},
      {"temperature_large", CHANGE(r.mutable_sampling()->set_temperature(1e6)), {}},
      {"temperature_negative",
       CHANGE(r.mutable_sampling()->set_temperature(-0.1)),
       {"sampling.temperature", "-0.1"}},
      {"temperature_nan",
       CHANGE(r.mutable_sampling()->set_temperature(kNan)),
       {"sampling.temperature", "nan"}},
      {"temperature_infinite",
       CHANGE(r.mutable_sampling()->set_temperature(kInf)),
       {"sampling.temperature", "inf"}},
      {"top_k_off", CHANGE(r.mutable_sampling()->set_top_k(0)), {}},
      {"top_k_negative", CHANGE(r.mutable_sampling()->set_top_k(-1)), {"sampling.top_k", "-1"}},
      {"top_p_one", CHANGE(r.mutable_sampling()->set_top_p(1)), {}},
      {"top_p_zero", CHANGE(r.mutable_sampling()->set_top_p(0)), {"sampling.top_p", "0"}},
      {"top_p_above", CHANGE(r.mutable_sampling()->set_top_p(1.5)), {"sampling.top_p", "1.5"}},
      {"top_p_nan", CHANGE(r.mutable_sampling()->set_top_p(kNan)), {"sampling.top_p", "nan"}},
      {"min_p_one", CHANGE(r.mutable_sampling()->set_min_p(1)), {}},
      {"min_p_negative", CHANGE(r.mutable_sampling()->set_min_p(-0.1)), {"sampling.min_p"}},
      {"min_p_nan", CHANGE(r.mutable_sampling()->set_min_p(kNan)), {"sampling.min_p", "nan"}},
      {"repetition_ten", CHANGE(r.mutable_sampling()->set_repetition_penalty(10)), {}},
      {"repetition_zero",
       CHANGE(r.mutable_sampling()->set_repetition_penalty(0)),
       {"sampling.repetition_penalty"}},
      {"repetition_above",
       CHANGE(r.mutable_sampling()->set_repetition_penalty(10.5)),
       {"sampling.repetition_penalty", "10.5", "10"}},
      {"repetition_nan",
       CHANGE(r.mutable_sampling()->set_repetition_penalty(kNan)),
       {"sampling.repetition_penalty"}},
      {"presence_low", CHANGE(r.mutable_sampling()->set_presence_penalty(-2)), {}},
      {"presence_too_low",
       CHANGE(r.mutable_sampling()->set_presence_penalty(-2.1)),
       {"sampling.presence_penalty", "-2.1"}},
      {"presence_infinite",
       CHANGE(r.mutable_sampling()->set_presence_penalty(kInf)),
       {"sampling.presence_penalty"}},
      {"frequency_too_high",
       CHANGE(r.mutable_sampling()->set_frequency_penalty(2.1)),
       {"sampling.frequency_penalty", "2.1"}},
      {"frequency_nan",
       CHANGE(r.mutable_sampling()->set_frequency_penalty(kNan)),
       {"sampling.frequency_penalty"}},
      {"bias", CHANGE((*r.mutable_sampling()->mutable_logit_bias())[5] = -100), {}},
      {"bias_too_low",
       CHANGE((*r.mutable_sampling()->mutable_logit_bias())[5] = -101),
       {"sampling.logit_bias[5]", "-101"}},
      {"bias_nan",
       CHANGE((*r.mutable_sampling()->mutable_logit_bias())[5] = std::nanf("")),
       {"sampling.logit_bias[5]", "nan"}},
      {"bias_of_no_token",
       CHANGE((*r.mutable_sampling()->mutable_logit_bias())[-7] = 1),
       {"sampling.logit_bias", "-7"}},
      {"biases_too_many",
       CHANGE(for (int i = 0; i < 1025; ++i)(*r.mutable_sampling()->mutable_logit_bias())[i] = 1),
       {"sampling.logit_bias", "1025", "1024"}},
  };
}

std::vector<Case> StoppingCases() {
  return {
      {"max_tokens_one", CHANGE(r.mutable_stopping()->set_max_tokens(1)), {}},
      {"max_tokens_zero",
       CHANGE(r.mutable_stopping()->set_max_tokens(0)),
       {"stopping.max_tokens", "0"}},
      {"min_tokens_negative",
       CHANGE(r.mutable_stopping()->set_min_tokens(-1)),
       {"stopping.min_tokens", "-1"}},
      {"stops_16", CHANGE(for (int i = 0; i < 16; ++i) r.mutable_stopping()->add_stop("x")), {}},
      {"stops_17",
       CHANGE(for (int i = 0; i < 17; ++i) r.mutable_stopping()->add_stop("x")),
       {"stopping.stop", "17", "16"}},
      {"stop_empty",
       CHANGE(r.mutable_stopping()->add_stop("a"); r.mutable_stopping()->add_stop("")),
       {"stopping.stop[1]", "0 bytes"}},
      {"stop_256", CHANGE(r.mutable_stopping()->add_stop(std::string(256, 'x'))), {}},
      {"stop_257",
       CHANGE(r.mutable_stopping()->add_stop(std::string(257, 'x'))),
       {"stopping.stop[0]", "257", "256"}},
      {"stop_broken_utf8",
       CHANGE(r.mutable_stopping()->add_stop("\xc3")),
       {"stopping.stop[0]", "UTF-8"}},
      {"stop_ids_64",
       CHANGE(for (int i = 0; i < 64; ++i) r.mutable_stopping()->add_stop_token_ids(i)),
       {}},
      {"stop_ids_65",
       CHANGE(for (int i = 0; i < 65; ++i) r.mutable_stopping()->add_stop_token_ids(i)),
       {"stopping.stop_token_ids", "65", "64"}},
      {"stop_id_unknown",
       CHANGE(r.mutable_stopping()->add_stop_token_ids(999999)),
       {"stopping.stop_token_ids[0]", "999999"}},
      {"logprobs_zero", CHANGE(r.set_logprobs(0)), {}},
      {"logprobs_20", CHANGE(r.set_logprobs(20)), {}},
      {"logprobs_21", CHANGE(r.set_logprobs(21)), {"logprobs", "21", "20"}},
      {"logprobs_negative", CHANGE(r.set_logprobs(-1)), {"logprobs", "-1"}},
      {"prompt_logprobs_zero", CHANGE(r.set_prompt_logprobs(0)), {}},
      {"prompt_logprobs_20", CHANGE(r.set_prompt_logprobs(20)), {}},
      {"prompt_logprobs_21", CHANGE(r.set_prompt_logprobs(21)), {"prompt_logprobs", "21", "20"}},
      {"prompt_logprobs_negative", CHANGE(r.set_prompt_logprobs(-1)), {"prompt_logprobs", "-1"}},
      {"n_zero", CHANGE(r.set_n(0)), {}},
      {"n_16", CHANGE(r.set_n(16)), {}},
      {"n_17", CHANGE(r.set_n(17)), {"n is 17", "16"}},
      {"n_negative", CHANGE(r.set_n(-1)), {"n is -1", "16"}},
      {"salt_256", CHANGE(r.set_cache_salt(std::string(256, 's'))), {}},
      {"salt_257", CHANGE(r.set_cache_salt(std::string(257, 's'))), {"cache_salt", "257", "256"}},
      {"priority_low", CHANGE(r.set_priority(-100)), {}},
      {"priority_too_high", CHANGE(r.set_priority(101)), {"priority", "101", "100"}},
      {"priority_lowest_int",
       CHANGE(r.set_priority(std::numeric_limits<int32_t>::min())),
       {"priority"}},
  };
}

const auto kName = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(Prompt, ValidateTest, ::testing::ValuesIn(PromptCases()), kName);
INSTANTIATE_TEST_SUITE_P(Sampling, ValidateTest, ::testing::ValuesIn(SamplingCases()), kName);
INSTANTIATE_TEST_SUITE_P(Stopping, ValidateTest, ::testing::ValuesIn(StoppingCases()), kName);

TEST(RequestValidatorTest, TextNeedsATokenizer) {
  const std::unique_ptr<ServedModel> model = testing::MakeTestModel(/*with_tokenizer=*/false);
  const RequestValidator validator(model.get(), RequestLimits());
  EXPECT_THAT(validator.Validate(TextRequest()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("prompt.text"), HasSubstr("tokenizer.json"))));
  v1::GenerateRequest request;
  request.mutable_prompt()->mutable_token_ids()->add_ids(5);
  EXPECT_THAT(validator.Validate(request), IsOk());
  request.mutable_stopping()->add_stop("x");
  EXPECT_THAT(validator.Validate(request),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("stopping.stop[0]")));
}

TEST(RequestValidatorTest, OpenFieldsTakeTheCheckpointsDefaults) {
  const std::unique_ptr<ServedModel> model = testing::MakeTestModel();
  model->generation.temperature = 0.7;
  model->generation.top_k = 64;
  model->generation.top_p = 0.95;
  model->generation.min_p = 0.02;
  model->generation.repetition_penalty = 1.1;
  model->generation.suppress_tokens = {4, 5};
  const RequestValidator validator(model.get(), RequestLimits(), [] { return uint64_t{77}; });
  const auto spec = validator.Validate(TextRequest());
  ASSERT_THAT(spec, IsOk());
  EXPECT_EQ(spec->sampling.temperature(), 0.7);
  EXPECT_EQ(spec->sampling.top_k(), 64);
  EXPECT_EQ(spec->sampling.top_p(), 0.95);
  EXPECT_EQ(spec->sampling.min_p(), 0.02);
  EXPECT_EQ(spec->sampling.repetition_penalty(), 1.1);
  EXPECT_EQ(spec->sampling.presence_penalty(), 0);
  EXPECT_EQ(spec->sampling.seed(), 77u);
  EXPECT_THAT(spec->sampling.suppress_tokens(), ElementsAre(4, 5));
  EXPECT_EQ(spec->stopping.end_token_ids_size(), 2);
  EXPECT_EQ(spec->logprobs, std::nullopt);
  EXPECT_EQ(spec->prompt_logprobs, std::nullopt);
  EXPECT_EQ(spec->n, 1);
  EXPECT_EQ(spec->cache_salt, "");
}

TEST(RequestValidatorTest, GivenFieldsWinOverTheDefaults) {
  const std::unique_ptr<ServedModel> model = testing::MakeTestModel();
  model->generation.temperature = 0.7;
  model->generation.top_k = 64;
  const RequestValidator validator(model.get(), RequestLimits());
  v1::GenerateRequest request = TextRequest();
  request.mutable_sampling()->set_temperature(0);
  request.mutable_sampling()->set_top_k(0);
  request.mutable_sampling()->set_seed(0);
  request.set_logprobs(0);
  const auto spec = validator.Validate(request);
  ASSERT_THAT(spec, IsOk());
  EXPECT_EQ(spec->sampling.temperature(), 0);
  EXPECT_EQ(spec->sampling.top_k(), 0);
  EXPECT_EQ(spec->sampling.seed(), 0u);
  EXPECT_EQ(spec->logprobs, 0);
}

TEST(RequestValidatorTest, ACheckpointThatDoesNotSampleIsGreedyUnlessATemperatureIsGiven) {
  const std::unique_ptr<ServedModel> model = testing::MakeTestModel();
  model->generation.do_sample = false;
  const RequestValidator validator(model.get(), RequestLimits());
  v1::GenerateRequest request = TextRequest();
  EXPECT_EQ(validator.Validate(request)->sampling.temperature(), 0);
  request.mutable_sampling()->set_temperature(0.5);
  EXPECT_EQ(validator.Validate(request)->sampling.temperature(), 0.5);
}

TEST(RequestValidatorTest, AFormatBecomesAGrammar) {
  const std::unique_ptr<ServedModel> model = testing::MakeTestModel();
  const RequestValidator validator(model.get(), RequestLimits());
  v1::GenerateRequest request = TextRequest();
  EXPECT_FALSE(validator.Validate(request)->grammar.has_value());
  request.mutable_response_format()->set_regex("a+");
  EXPECT_EQ(validator.Validate(request)->grammar->regex(), "a+");
  request.mutable_response_format()->set_ebnf("root ::= \"a\"");
  EXPECT_EQ(validator.Validate(request)->grammar->ebnf(), "root ::= \"a\"");
  request.mutable_response_format()->set_json_schema("{}");
  EXPECT_EQ(validator.Validate(request)->grammar->json_schema(), "{}");
  request.mutable_response_format()->set_json(true);
  EXPECT_TRUE(validator.Validate(request)->grammar->json());
  request.mutable_response_format()->set_json(false);
  EXPECT_THAT(validator.Validate(request),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("response_format.json")));
}

TEST(RequestValidatorTest, TheTokensOfMediaAreNeverWritten) {
  const std::unique_ptr<ServedModel> model = testing::MakeTestModel();
  model->generation.suppress_tokens = {4};
  model->config.image_token_id = 10;
  model->config.begin_image_token_id = 11;
  model->config.end_audio_token_id = 12;
  const RequestValidator validator(model.get(), RequestLimits());
  EXPECT_THAT(validator.Validate(TextRequest())->sampling.suppress_tokens(), ElementsAre(4));
  model->config.has_vision = true;
  EXPECT_THAT(validator.Validate(TextRequest())->sampling.suppress_tokens(),
              ElementsAre(4, 10, 11, 12));
}

TEST(RequestValidatorTest, RandomSeedsDiffer) {
  EXPECT_NE(RequestValidator::RandomSeed(), RequestValidator::RandomSeed());
}

struct LengthCase {
  std::string name;
  int64_t prompt;
  int max_tokens;  // 0: open
  int min_tokens;
  std::vector<std::string> words;  // none: it fits
  int fitted = 0;
};
class FitToContextTest : public ::testing::TestWithParam<LengthCase> {};

TEST_P(FitToContextTest, KeepsPromptAndCompletionWithinTheContext) {
  const LengthCase& c = GetParam();
  GenerationSpec spec;
  spec.stopping.set_max_tokens(c.max_tokens);
  spec.stopping.set_min_tokens(c.min_tokens);
  const absl::Status status = FitToContext(c.prompt, /*context_length=*/100, &spec);
  if (c.words.empty()) {
    EXPECT_THAT(status, IsOk());
    EXPECT_EQ(spec.stopping.max_tokens(), c.fitted);
    return;
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  for (const std::string& word : c.words) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(word));
  }
}

INSTANTIATE_TEST_SUITE_P(Lengths, FitToContextTest,
                         ::testing::ValuesIn(std::vector<LengthCase>{
                             {"open_takes_what_is_left", 40, 0, 0, {}, 60},
                             {"exactly_full", 40, 60, 0, {}, 60},
                             {"last_place", 99, 0, 0, {}, 1},
                             {"explicit_is_kept", 40, 7, 7, {}, 7},
                             {"one_too_many", 40, 61, 0, {"max_tokens", "61", "40", "100", "60"}},
                             {"prompt_fills_it", 100, 0, 0, {"prompt", "100"}},
                             {"prompt_is_longer", 101, 0, 0, {"prompt", "101", "100"}},
                             {"min_above_max", 40, 7, 8, {"min_tokens", "8", "7"}},
                             {"min_above_room", 95, 0, 6, {"min_tokens", "6", "5"}},
                         }),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace facet
