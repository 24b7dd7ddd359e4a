#ifndef FACET_SERVICES_SERVING_BYTE_SIZE_H_
#define FACET_SERVICES_SERVING_BYTE_SIZE_H_

// A number of bytes as a flag: "1073741824", "512KiB", "64MiB", "1.5GiB", "2TiB".

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace facet {

struct ByteSize {
  int64_t bytes = 0;
};

// What Abseil's flags call. Refuses what is negative, has another unit, or does not fit.
bool AbslParseFlag(absl::string_view text, ByteSize* size, std::string* error);
std::string AbslUnparseFlag(const ByteSize& size);

}  // namespace facet

#endif  // FACET_SERVICES_SERVING_BYTE_SIZE_H_
