#include "services/gateway/openai/request_options.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "services/gateway/openai/openai_error.h"

namespace facet {
namespace {

// As proto/facet/v1/generation.proto bounds it.
constexpr int64_t kMaxCompletions = 16;
constexpr int64_t kMaxInt32 = std::numeric_limits<int32_t>::max();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

absl::Status ReadLogitBias(const JsonFields& request, v1::SamplingParams* sampling) {
  const Json* value = request.Find("logit_bias");
  if (value == nullptr) return absl::OkStatus();
  FACET_ASSIGN_OR_RETURN(const JsonFields biases,
                         JsonFields::Of(*value, request.Path("logit_bias")));
  for (const auto& [name, ignored] : value->items()) {
    int32_t id = 0;
    if (!absl::SimpleAtoi(name, &id) || id < 0) {
      return FieldError(request.Path("logit_bias"), absl::StrCat("'", name, "' is not a token id"));
    }
    FACET_ASSIGN_OR_RETURN(const std::optional<double> bias, biases.Number(name, -100, 100));
    if (bias.has_value()) (*sampling->mutable_logit_bias())[id] = static_cast<float>(*bias);
  }
  return absl::OkStatus();
}

absl::Status ReadStop(const JsonFields& request, v1::StoppingParams* stopping) {
  const Json* value = request.Find("stop");
  if (value == nullptr) return absl::OkStatus();
  if (value->is_string()) {
    stopping->add_stop(value->get<std::string>());
    return absl::OkStatus();
  }
  FACET_ASSIGN_OR_RETURN(const Json* stops, request.Array("stop"));
  for (size_t i = 0; i < stops->size(); ++i) {
    if (!(*stops)[i].is_string()) {
      return FieldError(ElementPath(request.Path("stop"), i),
                        absl::StrCat(Shown((*stops)[i]), " is not a string"));
    }
    stopping->add_stop((*stops)[i].get<std::string>());
  }
  return absl::OkStatus();
}

absl::Status ReadMaxTokens(const JsonFields& request, v1::StoppingParams* stopping) {
  FACET_ASSIGN_OR_RETURN(const std::optional<int64_t> max_tokens,
                         request.Integer("max_tokens", 1, kMaxInt32));
  FACET_ASSIGN_OR_RETURN(const std::optional<int64_t> newer,
                         request.Integer("max_completion_tokens", 1, kMaxInt32));
  if (max_tokens.has_value() && newer.has_value() && *max_tokens != *newer) {
    return FieldError(request.Path("max_completion_tokens"),
                      absl::StrCat(*newer, " contradicts max_tokens ", *max_tokens));
  }
  const std::optional<int64_t> most = newer.has_value() ? newer : max_tokens;
  if (most.has_value()) stopping->set_max_tokens(static_cast<int32_t>(*most));
  return absl::OkStatus();
}

absl::Status ReadStopTokenIds(const JsonFields& request, v1::StoppingParams* stopping) {
  FACET_ASSIGN_OR_RETURN(const Json* ids, request.Array("stop_token_ids"));
  for (size_t i = 0; ids != nullptr && i < ids->size(); ++i) {
    const Json& id = (*ids)[i];
    if (!id.is_number_integer() || id < 0 || id > kMaxInt32) {
      return FieldError(ElementPath(request.Path("stop_token_ids"), i),
                        absl::StrCat(Shown(id), " is not a token id"));
    }
    stopping->add_stop_token_ids(id.get<int32_t>());
  }
  return absl::OkStatus();
}

absl::Status ReadSchema(const JsonFields& format, v1::ResponseFormat* out) {
  const std::string path = format.Path("json_schema");
  const Json* value = format.Find("json_schema");
  if (value == nullptr) return FieldError(path, "is missing: an object with a schema");
  FACET_ASSIGN_OR_RETURN(const JsonFields outer, JsonFields::Of(*value, path));
  FACET_RETURN_IF_ERROR(outer.RefuseOthers({"name", "description", "schema", "strict"}));
  const Json* schema = outer.Find("schema");
  if (schema == nullptr) return FieldError(outer.Path("schema"), "is missing: a JSON Schema");
  if (!schema->is_object() && !schema->is_boolean()) {
    return FieldError(outer.Path("schema"), absl::StrCat(Shown(*schema), " is not a JSON Schema"));
  }
  out->set_json_schema(Dump(*schema));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AnswerOptions> ReadAnswerOptions(const JsonFields& request) {
  AnswerOptions options;
  FACET_ASSIGN_OR_RETURN(const std::optional<bool> stream, request.Bool("stream"));
  options.stream = stream.value_or(false);
  const Json* value = request.Find("stream_options");
  if (value == nullptr) return options;
  if (!options.stream) {
    return FieldError(request.Path("stream_options"), "is allowed only with stream: true");
  }
  FACET_ASSIGN_OR_RETURN(const JsonFields fields,
                         JsonFields::Of(*value, request.Path("stream_options")));
  FACET_RETURN_IF_ERROR(fields.RefuseOthers({"include_usage", "include_obfuscation"}));
  FACET_ASSIGN_OR_RETURN(const std::optional<bool> usage, fields.Bool("include_usage"));
  options.include_usage = usage.value_or(false);
  return options;
}

absl::Status ReadSampling(const JsonFields& request, v1::SamplingParams* sampling) {
  FACET_ASSIGN_OR_RETURN(const auto temperature, request.Number("temperature", 0, kInfinity));
  if (temperature.has_value()) sampling->set_temperature(*temperature);
  FACET_ASSIGN_OR_RETURN(const auto top_p, request.Number("top_p", 0, 1));
  if (top_p.has_value()) {
    if (*top_p == 0) return FieldError(request.Path("top_p"), "0 is not more than 0 and at most 1");
    sampling->set_top_p(*top_p);
  }
  FACET_ASSIGN_OR_RETURN(const auto top_k, request.Integer("top_k", -1, kMaxInt32));
  // -1 is how other servers write "off".
  if (top_k.has_value()) sampling->set_top_k(static_cast<int32_t>(*top_k == -1 ? 0 : *top_k));
  FACET_ASSIGN_OR_RETURN(const auto min_p, request.Number("min_p", 0, 1));
  if (min_p.has_value()) sampling->set_min_p(*min_p);
  FACET_ASSIGN_OR_RETURN(const auto repetition, request.Number("repetition_penalty", 0, 10));
  if (repetition.has_value()) sampling->set_repetition_penalty(*repetition);
  FACET_ASSIGN_OR_RETURN(const auto presence, request.Number("presence_penalty", -2, 2));
  if (presence.has_value()) sampling->set_presence_penalty(*presence);
  FACET_ASSIGN_OR_RETURN(const auto frequency, request.Number("frequency_penalty", -2, 2));
  if (frequency.has_value()) sampling->set_frequency_penalty(*frequency);
  FACET_ASSIGN_OR_RETURN(const auto seed, request.Integer("seed", INT64_MIN, INT64_MAX));
  if (seed.has_value()) sampling->set_seed(static_cast<uint64_t>(*seed));
  return ReadLogitBias(request, sampling);
}

absl::Status ReadStopping(const JsonFields& request, v1::StoppingParams* stopping) {
  FACET_RETURN_IF_ERROR(ReadMaxTokens(request, stopping));
  FACET_RETURN_IF_ERROR(ReadStop(request, stopping));
  FACET_RETURN_IF_ERROR(ReadStopTokenIds(request, stopping));
  FACET_ASSIGN_OR_RETURN(const auto min_tokens, request.Integer("min_tokens", 0, kMaxInt32));
  if (min_tokens.has_value()) stopping->set_min_tokens(static_cast<int32_t>(*min_tokens));
  FACET_ASSIGN_OR_RETURN(const auto ignore_eos, request.Bool("ignore_eos"));
  stopping->set_ignore_eos(ignore_eos.value_or(false));
  return absl::OkStatus();
}

absl::StatusOr<int> ReadN(const JsonFields& request) {
  FACET_ASSIGN_OR_RETURN(const auto n, request.Integer("n", 1, kMaxCompletions));
  return static_cast<int>(n.value_or(1));
}

absl::Status ReadResponseFormat(const JsonFields& request, v1::ResponseFormat* format) {
  const Json* value = request.Find("response_format");
  if (value == nullptr) return absl::OkStatus();
  FACET_ASSIGN_OR_RETURN(const JsonFields fields,
                         JsonFields::Of(*value, request.Path("response_format")));
  FACET_ASSIGN_OR_RETURN(const std::string type, fields.RequiredText("type"));
  FACET_RETURN_IF_ERROR(fields.RefuseOthers({"type", "json_schema"}));
  if (type == "json_schema") return ReadSchema(fields, format);
  FACET_RETURN_IF_ERROR(fields.Refuse("json_schema", "is allowed only with type json_schema"));
  if (type == "json_object") {
    format->set_json_schema(R"({"type":"object"})");
  } else if (type != "text") {
    return FieldError(fields.Path("type"),
                      absl::StrCat("'", type, "' is not text, json_object or json_schema"));
  }
  return absl::OkStatus();
}

const std::set<std::string>& CommonFields() {
  static const auto& fields = *new std::set<std::string>{
      "model", "n", "stream", "stream_options", "response_format",
      // sampling
      "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty",
      "frequency_penalty", "seed", "logit_bias",
      // stopping
      "max_tokens", "max_completion_tokens", "min_tokens", "stop", "stop_token_ids", "ignore_eos",
      // of Facet
      "priority", "cache_salt",
      // without effect here
      "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
      "prompt_cache_retention", "verbosity"};
  return fields;
}

}  // namespace facet
