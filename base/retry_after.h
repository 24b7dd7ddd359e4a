#ifndef FACET_BASE_RETRY_AFTER_H_
#define FACET_BASE_RETRY_AFTER_H_

// A ResourceExhausted status may say when to come again. It travels inside the status as a payload,
// so that it survives every layer; services/serving/status_to_grpc.h turns it into the trailing
// metadata `retry-after-ms`.

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace facet {

inline constexpr char kRetryAfterPayload[] = "facet/retry-after-ms";

// Rounded up to whole milliseconds, at least 1. No effect on an OK status.
inline absl::Status WithRetryAfter(absl::Status status, absl::Duration after) {
  int64_t ms = absl::ToInt64Milliseconds(absl::Ceil(after, absl::Milliseconds(1)));
  if (ms < 1) ms = 1;
  status.SetPayload(kRetryAfterPayload, absl::Cord(absl::StrCat(ms)));
  return status;
}

// nullopt if the status says nothing about it.
inline std::optional<absl::Duration> RetryAfter(const absl::Status& status) {
  const auto payload = status.GetPayload(kRetryAfterPayload);
  int64_t ms = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &ms)) return std::nullopt;
  return absl::Milliseconds(ms);
}

}  // namespace facet

#endif  // FACET_BASE_RETRY_AFTER_H_
