#include "services/gateway/openai/completion_request.h"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace facet {
namespace {

constexpr int64_t kMaxTopLogprobs = 20;

absl::Status ReadTokenIds(const std::string& path, const Json& ids, v1::TokenIds* out) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!ids[i].is_number_integer() || ids[i] < 0 || ids[i] > INT32_MAX) {
      return FieldError(ElementPath(path, i), absl::StrCat(Shown(ids[i]), " is not a token id"));
    }
    out->add_ids(ids[i].get<int32_t>());
  }
  return absl::OkStatus();
}

absl::Status ReadPrompt(const JsonFields& request, v1::Prompt* out) {
  std::string path = request.Path("prompt");
  const Json* prompt = request.Find("prompt");
  if (prompt == nullptr) return FieldError(path, "is missing: a string or an array of token ids");
  if (prompt->is_array() && !prompt->empty() &&
      (prompt->front().is_string() || prompt->front().is_array())) {
    if (prompt->size() > 1) {
      return FieldError(
          path, absl::StrCat("has ", prompt->size(), " prompts: a request takes one prompt"));
    }
    path = ElementPath(path, 0);
    prompt = &prompt->front();
  }
  if (prompt->is_string()) {
    out->set_text(prompt->get<std::string>());
    out->set_parse_special(true);
    return absl::OkStatus();
  }
  if (!prompt->is_array() || prompt->empty()) {
    return FieldError(path, absl::StrCat(Shown(*prompt), " is not a string or token ids"));
  }
  return ReadTokenIds(path, *prompt, out->mutable_token_ids());
}

absl::Status RefuseUnsupported(const JsonFields& request, int n) {
  FACET_RETURN_IF_ERROR(request.Refuse("suffix", "is not supported"));
  FACET_ASSIGN_OR_RETURN(const std::optional<bool> echo, request.Bool("echo"));
  if (echo.value_or(false)) return FieldError(request.Path("echo"), "true is not supported");
  FACET_ASSIGN_OR_RETURN(const auto best_of, request.Integer("best_of", 1, 1 << 20));
  if (best_of.has_value() && *best_of != n) {
    return FieldError(request.Path("best_of"),
                      absl::StrCat(*best_of, " is not n (", n, "): it is not supported"));
  }
  return absl::OkStatus();
}

absl::Status RefuseUnknown(const JsonFields& request) {
  static const auto& known = *[] {
    auto* fields = new std::set<std::string>(CommonFields());
    fields->insert({"prompt", "echo", "best_of", "logprobs"});
    return fields;
  }();
  return request.RefuseOthers(known);
}

}  // namespace

absl::StatusOr<CompletionQuery> ReadCompletionRequest(const Json& body, bool ignore_unknown) {
  FACET_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(body, ""));
  CompletionQuery query;
  v1::GenerateRequest& request = query.request;
  FACET_ASSIGN_OR_RETURN(const int n, ReadN(fields));
  request.set_n(n);
  FACET_RETURN_IF_ERROR(RefuseUnsupported(fields, n));
  if (!ignore_unknown) FACET_RETURN_IF_ERROR(RefuseUnknown(fields));
  FACET_ASSIGN_OR_RETURN(std::optional<std::string> model, fields.Text("model"));
  request.set_model(std::move(model).value_or(""));
  FACET_ASSIGN_OR_RETURN(query.answer, ReadAnswerOptions(fields));
  FACET_RETURN_IF_ERROR(ReadPrompt(fields, request.mutable_prompt()));
  FACET_RETURN_IF_ERROR(ReadSampling(fields, request.mutable_sampling()));
  FACET_RETURN_IF_ERROR(ReadStopping(fields, request.mutable_stopping()));
  FACET_ASSIGN_OR_RETURN(const auto logprobs, fields.Integer("logprobs", 0, kMaxTopLogprobs));
  query.answer.logprobs = logprobs.has_value();
  if (logprobs.has_value()) request.set_logprobs(static_cast<int32_t>(*logprobs));
  v1::ResponseFormat format;
  FACET_RETURN_IF_ERROR(ReadResponseFormat(fields, &format));
  if (format.format_case() != v1::ResponseFormat::FORMAT_NOT_SET) {
    *request.mutable_response_format() = std::move(format);
  }
  FACET_ASSIGN_OR_RETURN(const auto priority, fields.Integer("priority", -100, 100));
  request.set_priority(static_cast<int32_t>(priority.value_or(0)));
  FACET_ASSIGN_OR_RETURN(std::optional<std::string> salt, fields.Text("cache_salt"));
  request.set_cache_salt(std::move(salt).value_or(""));
  return query;
}

}  // namespace facet
