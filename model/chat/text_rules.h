#ifndef FACET_MODEL_CHAT_TEXT_RULES_H_
#define FACET_MODEL_CHAT_TEXT_RULES_H_

// What the template does to texts and numbers.

#include <string>

#include "absl/strings/string_view.h"

namespace facet {

// Without the white space at both ends: Unicode's, and the four separators U+001C to U+001F.
absl::string_view Trim(absl::string_view text);

// An answer without the thoughts in it: all from an opening `<|channel>` to the next `<channel|>`
// (or to the end), then trimmed.
std::string StripThoughts(absl::string_view text);

// A finite double by its shortest digits that read back as the same number: "1.0", "-2.5", "1e+22",
// "1e-07", "123456789012345.0".
std::string FormatDouble(double value);

}  // namespace facet

#endif  // FACET_MODEL_CHAT_TEXT_RULES_H_
