#ifndef FACET_MODEL_ANSWER_ARGUMENT_VALUE_H_
#define FACET_MODEL_ANSWER_ARGUMENT_VALUE_H_

// Which JSON value the model meant by a scalar, given the types that may stand there.

#include <string>

#include "absl/strings/string_view.h"
#include "model/answer/argument_schema.h"

namespace facet {

// A string that can become something else is short; a longer one is a string.
inline constexpr size_t kMaxCoercedBytes = 64;

// Whether a string given in quotes stays one whatever it holds.
inline bool StaysString(JsonTypes types) { return (types & kStringType) != 0; }

// JSON text of a string that was given in quotes. Where no string may stand, one that spells a
// number, boolean or null that may stand there becomes that (the number with its spelling).
std::string QuotedValue(absl::string_view text, JsonTypes types);

// JSON text of a scalar that was given without string delimiters (trimmed, not empty):
//   - in ASCII quotes: as if it had stood in delimiters;
//   - null, true, false, a number: that, with its spelling, unless only a string may stand there.
//     null stays null even then: no tool is to get the word for a value;
//   - anything else: a string, except that True, False and None count where no string may stand.
std::string BareValue(absl::string_view text, JsonTypes types);

}  // namespace facet

#endif  // FACET_MODEL_ANSWER_ARGUMENT_VALUE_H_
