#ifndef FACET_SERVICES_ENCODER_SOFT_ROWS_H_
#define FACET_SERVICES_ENCODER_SOFT_ROWS_H_

#include <cstdint>

#include "absl/types/span.h"
#include "base/dtype.h"
#include "proto/facet/internal/encoder.pb.h"

namespace facet {

// Rows [count, hidden] on the wire, as float32 or rounded to bfloat16.
internal::SoftTokens ToWire(absl::Span<const float> rows, int count, DType dtype);

}  // namespace facet

#endif  // FACET_SERVICES_ENCODER_SOFT_ROWS_H_
