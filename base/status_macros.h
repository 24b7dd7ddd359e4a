#ifndef FACET_BASE_STATUS_MACROS_H_
#define FACET_BASE_STATUS_MACROS_H_

// Early return on a bad absl::Status or absl::StatusOr.
//
//   FACET_RETURN_IF_ERROR(Check(x));
//   FACET_ASSIGN_OR_RETURN(auto model, Model::Load(dir));

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define FACET_RETURN_IF_ERROR(expr)                                 \
  do {                                                              \
    if (absl::Status facet_status_ = (expr); !facet_status_.ok()) { \
      return facet_status_;                                         \
    }                                                               \
  } while (false)

#define FACET_STATUS_CONCAT_INNER_(a, b) a##b
#define FACET_STATUS_CONCAT_(a, b) FACET_STATUS_CONCAT_INNER_(a, b)
#define FACET_ASSIGN_OR_RETURN(lhs, expr) \
  FACET_ASSIGN_OR_RETURN_IMPL_(FACET_STATUS_CONCAT_(facet_status_or_, __LINE__), lhs, expr)
#define FACET_ASSIGN_OR_RETURN_IMPL_(result, lhs, expr) \
  auto result = (expr);                                 \
  if (!result.ok()) return result.status();             \
  lhs = *std::move(result)

#endif  // FACET_BASE_STATUS_MACROS_H_
