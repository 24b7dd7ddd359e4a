#include "services/gateway/openai/chat_request.h"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "services/gateway/openai/chat_messages.h"
#include "services/gateway/openai/chat_tools.h"

namespace facet {
namespace {

constexpr int64_t kMaxTopLogprobs = 20;

// Ours, OpenAI's, and how vLLM's users write the same.
absl::Status ReadThinking(const JsonFields& request, v1::ChatRequest* out) {
  FACET_ASSIGN_OR_RETURN(const std::optional<std::string> effort, request.Text("reasoning_effort"));
  if (effort.has_value()) {
    static const auto& efforts =
        *new std::set<std::string>{"none", "minimal", "low", "medium", "high", "xhigh"};
    if (efforts.count(*effort) == 0) {
      return FieldError(
          request.Path("reasoning_effort"),
          absl::StrCat("'", *effort, "' is not none, minimal, low, medium, high or xhigh"));
    }
    out->set_enable_thinking(*effort != "none");
  }
  FACET_ASSIGN_OR_RETURN(const std::optional<int64_t> most,
                         request.Integer("max_reasoning_tokens", 0, INT32_MAX));
  if (most.has_value()) out->set_max_reasoning_tokens(static_cast<int32_t>(*most));
  const Json* value = request.Find("chat_template_kwargs");
  if (value == nullptr) return absl::OkStatus();
  FACET_ASSIGN_OR_RETURN(const JsonFields kwargs,
                         JsonFields::Of(*value, request.Path("chat_template_kwargs")));
  FACET_RETURN_IF_ERROR(kwargs.RefuseOthers({"enable_thinking", "preserve_thinking"}));
  FACET_ASSIGN_OR_RETURN(const std::optional<bool> enable, kwargs.Bool("enable_thinking"));
  if (enable.has_value()) out->set_enable_thinking(*enable);
  FACET_ASSIGN_OR_RETURN(const std::optional<bool> preserve, kwargs.Bool("preserve_thinking"));
  out->set_preserve_thinking(preserve.value_or(false));
  return absl::OkStatus();
}

absl::Status ReadLogprobs(const JsonFields& request, ChatQuery* query) {
  FACET_ASSIGN_OR_RETURN(const std::optional<bool> logprobs, request.Bool("logprobs"));
  FACET_ASSIGN_OR_RETURN(const std::optional<int64_t> top,
                         request.Integer("top_logprobs", 0, kMaxTopLogprobs));
  query->answer.logprobs = logprobs.value_or(false);
  if (query->answer.logprobs) {
    query->request.set_logprobs(static_cast<int32_t>(top.value_or(0)));
  } else if (top.value_or(0) > 0) {
    return FieldError(request.Path("top_logprobs"), "is allowed only with logprobs: true");
  }
  return absl::OkStatus();
}

// What would change the answer, and is not done.
absl::Status RefuseUnsupported(const JsonFields& request) {
  FACET_RETURN_IF_ERROR(request.Refuse("functions", "is not supported: use tools"));
  FACET_RETURN_IF_ERROR(request.Refuse("function_call", "is not supported: use tool_choice"));
  FACET_RETURN_IF_ERROR(request.Refuse("audio", "is not supported: answers are text"));
  FACET_RETURN_IF_ERROR(request.Refuse("prediction", "is not supported"));
  FACET_RETURN_IF_ERROR(request.Refuse("web_search_options", "is not supported"));
  const Json* modalities = request.Find("modalities");
  if (modalities != nullptr && *modalities != Json::array({"text"})) {
    return FieldError(request.Path("modalities"),
                      absl::StrCat(Shown(*modalities), " is not [\"text\"]: answers are text"));
  }
  return absl::OkStatus();
}

absl::Status RefuseUnknown(const JsonFields& request) {
  static const auto& known = *[] {
    auto* fields = new std::set<std::string>(CommonFields());
    fields->insert({"messages", "tools", "tool_choice", "parallel_tool_calls", "logprobs",
                    "top_logprobs", "reasoning_effort", "max_reasoning_tokens",
                    "chat_template_kwargs", "modalities"});
    return fields;
  }();
  return request.RefuseOthers(known);
}

}  // namespace

absl::StatusOr<ChatQuery> ReadChatRequest(const Json& body, bool ignore_unknown) {
  FACET_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(body, ""));
  FACET_RETURN_IF_ERROR(RefuseUnsupported(fields));
  if (!ignore_unknown) FACET_RETURN_IF_ERROR(RefuseUnknown(fields));
  ChatQuery query;
  v1::ChatRequest& request = query.request;
  FACET_ASSIGN_OR_RETURN(std::optional<std::string> model, fields.Text("model"));
  request.set_model(std::move(model).value_or(""));
  FACET_ASSIGN_OR_RETURN(query.answer, ReadAnswerOptions(fields));
  FACET_RETURN_IF_ERROR(ReadMessages(fields, &request));
  FACET_RETURN_IF_ERROR(ReadTools(fields, &request));
  FACET_RETURN_IF_ERROR(ReadThinking(fields, &request));
  FACET_RETURN_IF_ERROR(ReadLogprobs(fields, &query));
  FACET_RETURN_IF_ERROR(ReadSampling(fields, request.mutable_sampling()));
  FACET_RETURN_IF_ERROR(ReadStopping(fields, request.mutable_stopping()));
  v1::ResponseFormat format;
  FACET_RETURN_IF_ERROR(ReadResponseFormat(fields, &format));
  if (format.format_case() != v1::ResponseFormat::FORMAT_NOT_SET) {
    *request.mutable_response_format() = std::move(format);
  }
  FACET_ASSIGN_OR_RETURN(const int n, ReadN(fields));
  request.set_n(n);
  FACET_ASSIGN_OR_RETURN(const auto priority, fields.Integer("priority", -100, 100));
  request.set_priority(static_cast<int32_t>(priority.value_or(0)));
  FACET_ASSIGN_OR_RETURN(std::optional<std::string> salt, fields.Text("cache_salt"));
  request.set_cache_salt(std::move(salt).value_or(""));
  return query;
}

}  // namespace facet
