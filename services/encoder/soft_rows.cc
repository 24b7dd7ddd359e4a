#include "services/encoder/soft_rows.h"

#include <cstring>
#include <string>

namespace facet {

internal::SoftTokens ToWire(absl::Span<const float> rows, int count, DType dtype) {
  internal::SoftTokens out;
  out.set_count(count);
  out.set_dtype(Name(dtype));
  std::string& bytes = *out.mutable_rows();
  if (dtype == DType::kF32) {
    bytes.assign(reinterpret_cast<const char*>(rows.data()), rows.size() * sizeof(float));
    return out;
  }
  bytes.resize(rows.size() * sizeof(uint16_t));
  for (size_t i = 0; i < rows.size(); ++i) {
    const uint16_t value = FloatToBf16(rows[i]);
    std::memcpy(bytes.data() + i * sizeof(value), &value, sizeof(value));
  }
  return out;
}

}  // namespace facet
