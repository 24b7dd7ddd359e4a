#include "services/gateway/openai/openai_error.h"

#include <cstdint>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/retry_after.h"
#include "services/gateway/openai/router_fields.h"

namespace facet {
namespace {

const char* TypeOf(int http_code) {
  if (http_code == 401) return "authentication_error";
  if (http_code == 403) return "permission_error";
  if (http_code == 408) return "timeout_error";
  if (http_code == 429) return "rate_limit_error";
  if (http_code >= 500) return "server_error";
  return "invalid_request_error";
}

Json CodeOf(int http_code, bool of_model) {
  if (http_code == 401) return "invalid_api_key";
  if (http_code == 404 && of_model) return "model_not_found";
  if (http_code == 429) return "rate_limit_exceeded";
  if (http_code == 503) return "unavailable";
  return nullptr;
}

Json Body(int http_code, const std::string& message, const std::string& field, bool of_model) {
  return {{"error",
           {{"message", message},
            {"type", TypeOf(http_code)},
            {"param", field.empty() ? Json() : Json(field)},
            {"code", CodeOf(http_code, of_model)}}}};
}

void AddRetryAfter(absl::Duration after, HttpResponse* response) {
  const int64_t ms = absl::ToInt64Milliseconds(after);
  response->headers.emplace_back("retry-after", absl::StrCat((ms + 999) / 1000));
  response->headers.emplace_back("retry-after-ms", absl::StrCat(ms));
}

}  // namespace

int HttpCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kDeadlineExceeded:
      return 408;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kCancelled:
      return 499;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

Json ErrorBody(const absl::Status& status) {
  return Body(HttpCode(status), std::string(status.message()), FieldOf(status), true);
}

HttpResponse ErrorResponse(const absl::Status& status) {
  HttpResponse response;
  response.code = HttpCode(status);
  response.body = Dump(ErrorBody(status));
  const std::optional<absl::Duration> after = RetryAfter(status);
  if (after.has_value()) {
    AddRetryAfter(*after, &response);
  } else if (response.code == 503) {
    AddRetryAfter(absl::Seconds(1), &response);
  }
  return response;
}

HttpResponse ErrorResponse(int code, const std::string& message) {
  HttpResponse response;
  response.code = code;
  response.body = Dump(Body(code, message, "", false));
  if (code == 503) AddRetryAfter(absl::Seconds(1), &response);
  return response;
}

absl::Status WithoutFalseRetry(absl::Status status) {
  if (absl::IsResourceExhausted(status) && absl::StrContains(status.message(), "larger than max")) {
    return absl::InvalidArgumentError(
        absl::StrCat("the request is too large for the router: ", status.message()));
  }
  return status;
}

absl::Status WithRouterField(absl::Status status, const std::string& prompt_field) {
  if (!absl::IsInvalidArgument(status) && !absl::IsFailedPrecondition(status)) return status;
  return WithField(status, OpenaiFieldOf(status.message(), prompt_field));
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace facet
