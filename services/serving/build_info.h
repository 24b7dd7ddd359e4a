#ifndef FACET_SERVICES_SERVING_BUILD_INFO_H_
#define FACET_SERVICES_SERVING_BUILD_INFO_H_

// Which program this is. Thread-safe.

#include <string>

namespace facet {

// Of the product, e.g. "0.1.0".
const char* Version();

// A hash of the running executable, 16 hexadecimal digits: equal for two processes of one build,
// different (but for a chance of 2^-64) otherwise. "unknown" where the file cannot be read.
const std::string& BuildId();

}  // namespace facet

#endif  // FACET_SERVICES_SERVING_BUILD_INFO_H_
