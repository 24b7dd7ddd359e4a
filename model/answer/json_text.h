#ifndef FACET_MODEL_ANSWER_JSON_TEXT_H_
#define FACET_MODEL_ANSWER_JSON_TEXT_H_

// Pieces of JSON text.

#include <string>

#include "absl/strings/string_view.h"

namespace facet {

// Appends the inside of a JSON string: quotes, backslashes and control characters escaped, all
// else (valid UTF-8) as it is. A text may be escaped piece by piece.
void AppendJsonEscaped(absl::string_view text, std::string* out);

// `text` as a JSON string, with its quotes.
std::string JsonString(absl::string_view text);

enum class NumberKind { kNone, kInteger, kReal };

// Whether a text is a JSON number, by the letter of RFC 8259 (no "+1", "01", ".5", "1.", "NaN").
// kInteger has neither point nor exponent. A number beyond the range of doubles is none: readers
// refuse it.
NumberKind JsonNumberKind(absl::string_view text);

// What a text in ASCII double quotes means: by JSON's escapes where they are sound, else its
// inside as it stands. False if the text is not quoted as a whole.
bool UnquoteAscii(absl::string_view text, std::string* value);

}  // namespace facet

#endif  // FACET_MODEL_ANSWER_JSON_TEXT_H_
