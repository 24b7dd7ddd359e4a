#include "router/request_validator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/tokenizer/utf8.h"
#include "router/media/media_kinds.h"

namespace facet {
namespace {

template <typename Value>
absl::Status FieldError(const std::string& field, Value value, const std::string& allowed) {
  return absl::InvalidArgumentError(absl::StrCat(field, " is ", value, "; allowed: ", allowed));
}

std::string Element(const char* field, int index) { return absl::StrCat(field, "[", index, "]"); }

// Both comparisons are false for NaN, so it is refused like any other value outside.
absl::Status CheckRange(const char* field, double value, double low, double high,
                        const char* allowed) {
  if (value >= low && value <= high) return absl::OkStatus();
  return FieldError(field, value, allowed);
}

absl::Status CheckUtf8(const std::string& field, const std::string& text) {
  if (const auto offset = FindInvalidUtf8(text)) {
    return absl::InvalidArgumentError(absl::StrCat(field, " is not valid UTF-8 at byte ", *offset));
  }
  return absl::OkStatus();
}

absl::Status CheckTopLogprobs(const char* field, int value) {
  if (value >= 0 && value <= RequestLimits::kMaxTopLogprobs) return absl::OkStatus();
  return FieldError(field, value, absl::StrCat("0 to ", RequestLimits::kMaxTopLogprobs));
}

constexpr double kMaxDouble = std::numeric_limits<double>::max();

}  // namespace

RequestValidator::RequestValidator(const ServedModel* model, RequestLimits limits,
                                   std::function<uint64_t()> random_seed)
    : model_(model), limits_(limits), random_seed_(std::move(random_seed)) {}

uint64_t RequestValidator::RandomSeed() {
  static std::mutex mutex;
  static std::mt19937_64 generator = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  std::lock_guard<std::mutex> lock(mutex);
  return generator();
}

template <typename Request>
absl::StatusOr<GenerationSpec> RequestValidator::Resolve(const Request& request) const {
  GenerationSpec spec;
  FACET_RETURN_IF_ERROR(ResolveSampling(request.sampling(), &spec.sampling));
  FACET_RETURN_IF_ERROR(ResolveStopping(request.stopping(), &spec));
  if (request.has_logprobs()) {
    FACET_RETURN_IF_ERROR(CheckTopLogprobs("logprobs", request.logprobs()));
    spec.logprobs = request.logprobs();
  }
  if (request.n() < 0 || request.n() > RequestLimits::kMaxCompletions) {
    return FieldError("n", request.n(),
                      absl::StrCat("0 to ", RequestLimits::kMaxCompletions, "; 0 is one"));
  }
  spec.n = std::max(1, request.n());
  if (request.cache_salt().size() > RequestLimits::kMaxCacheSaltBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("cache_salt has ", request.cache_salt().size(), " bytes; at most ",
                     RequestLimits::kMaxCacheSaltBytes, " are accepted"));
  }
  spec.cache_salt = request.cache_salt();
  if (std::abs(static_cast<int64_t>(request.priority())) > RequestLimits::kMaxPriority) {
    return FieldError(
        "priority", request.priority(),
        absl::StrCat("-", RequestLimits::kMaxPriority, " to ", RequestLimits::kMaxPriority));
  }
  spec.priority = request.priority();
  return spec;
}

absl::StatusOr<GenerationSpec> RequestValidator::Validate(
    const v1::GenerateRequest& request) const {
  FACET_RETURN_IF_ERROR(ValidateModel(request.model()));
  FACET_RETURN_IF_ERROR(ValidatePrompt(request.prompt()));
  FACET_ASSIGN_OR_RETURN(GenerationSpec spec, Resolve(request));
  if (request.has_prompt_logprobs()) {
    FACET_RETURN_IF_ERROR(CheckTopLogprobs("prompt_logprobs", request.prompt_logprobs()));
    spec.prompt_logprobs = request.prompt_logprobs();
  }
  FACET_ASSIGN_OR_RETURN(spec.grammar, ResolveFormat(request.response_format()));
  // What is not done must not be passed over in silence.
  spec.show_special = request.show_special();
  return spec;
}

absl::StatusOr<std::optional<internal::Grammar>> RequestValidator::ResolveFormat(
    const v1::ResponseFormat& format) const {
  std::optional<internal::Grammar> grammar;
  if (format.format_case() == v1::ResponseFormat::FORMAT_NOT_SET) return grammar;
  if (model_->tokenizer == nullptr) {
    return absl::FailedPreconditionError(
        "response_format is set; this checkpoint has no tokenizer.json to enforce it with");
  }
  grammar.emplace();
  switch (format.format_case()) {
    case v1::ResponseFormat::kJson:
      if (!format.json()) {
        return absl::InvalidArgumentError("response_format.json is false; allowed: true, or unset");
      }
      grammar->set_json(true);
      break;
    case v1::ResponseFormat::kJsonSchema:
      grammar->set_json_schema(format.json_schema());
      break;
    case v1::ResponseFormat::kRegex:
      grammar->set_regex(format.regex());
      break;
    case v1::ResponseFormat::kEbnf:
      grammar->set_ebnf(format.ebnf());
      break;
    case v1::ResponseFormat::FORMAT_NOT_SET:
      break;
  }
  return grammar;
}

absl::StatusOr<GenerationSpec> RequestValidator::ResolveShared(
    const v1::ChatRequest& request) const {
  FACET_RETURN_IF_ERROR(ValidateModel(request.model()));
  return Resolve(request);
}

absl::Status RequestValidator::ValidateModel(const std::string& name) const {
  if (name.empty() || name == model_->name) return absl::OkStatus();
  // The name is the caller's: cut it, so that no message grows with it.
  return absl::NotFoundError(absl::StrCat("model '", name.substr(0, 100),
                                          "' is not served here; there is: ", model_->name));
}

absl::Status RequestValidator::ValidatePrompt(const v1::Prompt& prompt) const {
  switch (prompt.input_case()) {
    case v1::Prompt::kText:
      if (prompt.text().empty()) {
        return absl::InvalidArgumentError(
            "prompt.text is empty; give text, or the beginning-of-sequence token by its id in "
            "prompt.token_ids");
      }
      return ValidateText("prompt.text", prompt.text());
    case v1::Prompt::kTokenIds:
      if (prompt.token_ids().ids().empty()) {
        return absl::InvalidArgumentError("prompt.token_ids is empty; at least one id is needed");
      }
      for (int i = 0; i < prompt.token_ids().ids_size(); ++i) {
        const int32_t id = prompt.token_ids().ids(i);
        if (id < 0 || id >= model_->vocab_size()) {
          return ValidateTokenId(Element("prompt.token_ids", i), id);
        }
      }
      return absl::OkStatus();
    case v1::Prompt::INPUT_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("prompt is missing; set prompt.text or prompt.token_ids");
}

absl::Status RequestValidator::ValidateText(const std::string& field,
                                            const std::string& text) const {
  if (model_->tokenizer == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat(field, ": the checkpoint of model '", model_->name,
                     "' has no tokenizer.json; use token ids instead of text"));
  }
  if (text.size() > limits_.max_prompt_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(field, " has ", text.size(), " bytes; at most ",
                                                   limits_.max_prompt_bytes, " are accepted"));
  }
  return CheckUtf8(field, text);
}

absl::Status RequestValidator::ValidateTokenId(const std::string& field, int64_t id) const {
  if (id >= 0 && id < model_->vocab_size()) return absl::OkStatus();
  return FieldError(
      field, id, absl::StrCat("0 to ", model_->vocab_size() - 1, ", the token ids of the model"));
}

absl::Status RequestValidator::ResolveSampling(const v1::SamplingParams& params,
                                               internal::SamplingSettings* out) const {
  const GenerationConfig& defaults = model_->generation;
  out->set_temperature(params.has_temperature() ? params.temperature()
                       : defaults.do_sample     ? defaults.temperature
                                                : 0.0);
  out->set_top_k(params.has_top_k() ? params.top_k() : defaults.top_k);
  out->set_top_p(params.has_top_p() ? params.top_p() : defaults.top_p);
  out->set_min_p(params.has_min_p() ? params.min_p() : defaults.min_p);
  out->set_repetition_penalty(params.has_repetition_penalty() ? params.repetition_penalty()
                                                              : defaults.repetition_penalty);
  out->set_presence_penalty(params.presence_penalty());
  out->set_frequency_penalty(params.frequency_penalty());
  out->set_seed(params.has_seed() ? params.seed() : random_seed_());
  for (const int id : defaults.suppress_tokens) out->add_suppress_tokens(id);
  for (const int32_t id : MediaTokenIds(model_->config)) out->add_suppress_tokens(id);

  FACET_RETURN_IF_ERROR(CheckRange("sampling.temperature", out->temperature(), 0, kMaxDouble,
                                   "0 (greedy) and finite numbers above"));
  if (out->top_k() < 0) return FieldError("sampling.top_k", out->top_k(), "0 (off) and above");
  if (!(out->top_p() > 0 && out->top_p() <= 1)) {
    return FieldError("sampling.top_p", out->top_p(), "above 0, to 1 (off)");
  }
  FACET_RETURN_IF_ERROR(CheckRange("sampling.min_p", out->min_p(), 0, 1, "0 (off) to 1"));
  if (!(out->repetition_penalty() > 0 && out->repetition_penalty() <= 10)) {
    return FieldError("sampling.repetition_penalty", out->repetition_penalty(),
                      "above 0, to 10; 1 is off");
  }
  FACET_RETURN_IF_ERROR(
      CheckRange("sampling.presence_penalty", out->presence_penalty(), -2, 2, "-2 to 2"));
  FACET_RETURN_IF_ERROR(
      CheckRange("sampling.frequency_penalty", out->frequency_penalty(), -2, 2, "-2 to 2"));

  if (params.logit_bias_size() > RequestLimits::kMaxLogitBiases) {
    return absl::InvalidArgumentError(
        absl::StrCat("sampling.logit_bias has ", params.logit_bias_size(), " entries; at most ",
                     RequestLimits::kMaxLogitBiases, " are accepted"));
  }
  for (const auto& [id, bias] : params.logit_bias()) {
    FACET_RETURN_IF_ERROR(ValidateTokenId("sampling.logit_bias: token id", id));
    if (!(bias >= -100 && bias <= 100)) {
      return FieldError(absl::StrCat("sampling.logit_bias[", id, "]"), bias, "-100 to 100");
    }
    (*out->mutable_logit_bias())[id] = bias;
  }
  return absl::OkStatus();
}

absl::Status RequestValidator::ResolveStopping(const v1::StoppingParams& params,
                                               GenerationSpec* out) const {
  if (params.has_max_tokens() && params.max_tokens() < 1) {
    return FieldError("stopping.max_tokens", params.max_tokens(), "1 and above");
  }
  if (params.min_tokens() < 0) {
    return FieldError("stopping.min_tokens", params.min_tokens(), "0 and above");
  }
  if (params.stop_size() > RequestLimits::kMaxStopStrings) {
    return absl::InvalidArgumentError(
        absl::StrCat("stopping.stop has ", params.stop_size(), " strings; at most ",
                     RequestLimits::kMaxStopStrings, " are accepted"));
  }
  for (int i = 0; i < params.stop_size(); ++i) {
    const std::string field = Element("stopping.stop", i);
    const size_t size = params.stop(i).size();
    if (size < 1 || size > RequestLimits::kMaxStopBytes) {
      return absl::InvalidArgumentError(absl::StrCat(field, " has ", size, " bytes; allowed: 1 to ",
                                                     RequestLimits::kMaxStopBytes));
    }
    FACET_RETURN_IF_ERROR(ValidateText(field, params.stop(i)));
    out->stop.push_back(params.stop(i));
  }
  if (params.stop_token_ids_size() > RequestLimits::kMaxStopTokenIds) {
    return absl::InvalidArgumentError(
        absl::StrCat("stopping.stop_token_ids has ", params.stop_token_ids_size(), " ids; at most ",
                     RequestLimits::kMaxStopTokenIds, " are accepted"));
  }
  for (int i = 0; i < params.stop_token_ids_size(); ++i) {
    FACET_RETURN_IF_ERROR(
        ValidateTokenId(Element("stopping.stop_token_ids", i), params.stop_token_ids(i)));
  }
  internal::StoppingSettings& stopping = out->stopping;
  stopping.set_max_tokens(params.max_tokens());
  stopping.set_min_tokens(params.min_tokens());
  stopping.set_ignore_eos(params.ignore_eos());
  for (const int id : model_->generation.eos_token_ids) stopping.add_end_token_ids(id);
  *stopping.mutable_stop_token_ids() = params.stop_token_ids();
  return absl::OkStatus();
}

absl::Status CheckPromptLength(int64_t prompt_tokens, int context_length) {
  if (prompt_tokens <= context_length) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "prompt has ", prompt_tokens, " tokens; the context holds at most ", context_length));
}

absl::Status FitToContext(int64_t prompt_tokens, int context_length, GenerationSpec* spec) {
  FACET_RETURN_IF_ERROR(CheckPromptLength(prompt_tokens, context_length));
  const int64_t room = context_length - prompt_tokens;
  if (room < 1) {
    return absl::InvalidArgumentError(absl::StrCat("prompt has ", prompt_tokens,
                                                   " tokens and the context holds ", context_length,
                                                   ", so no token can be generated"));
  }
  internal::StoppingSettings& stopping = spec->stopping;
  if (stopping.max_tokens() > room) {
    return absl::InvalidArgumentError(
        absl::StrCat("stopping.max_tokens is ", stopping.max_tokens(), " and the prompt has ",
                     prompt_tokens, " tokens; the context holds ", context_length,
                     " in all, so at most ", room, " can be generated"));
  }
  if (stopping.max_tokens() == 0) stopping.set_max_tokens(static_cast<int32_t>(room));
  if (stopping.min_tokens() > stopping.max_tokens()) {
    return absl::InvalidArgumentError(absl::StrCat("stopping.min_tokens is ", stopping.min_tokens(),
                                                   "; at most ", stopping.max_tokens(),
                                                   " tokens can be generated"));
  }
  return absl::OkStatus();
}

}  // namespace facet
