#ifndef FACET_SHARD_GRAMMAR_PATTERN_GRAMMAR_H_
#define FACET_SHARD_GRAMMAR_PATTERN_GRAMMAR_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "shard/grammar/grammar_text.h"

namespace facet {

// A regular expression as one EBNF expression over the content of a string.
//
// ECMAScript's syntax without look-around, back references, \b, \B, \p and named groups. Anchors
// stand only at the ends of the pattern or of its outermost alternatives. Where dialects differ on
// a class (\w, \d, \s outside ASCII), the grammar yields only what all of them match.
//   whole: the text must match as a whole; else it may stand anywhere in it, as JSON Schema's
//          `pattern` has it, unless anchored.
//   raw:   the text is the answer itself, not the content of a JSON or call string.
// InvalidArgument names what is not supported and its byte offset; likewise patterns of more than
// 4 KiB, groups nested deeper than 32, and repetitions that expand to more than 5000 characters.
struct PatternOptions {
  ValueSyntax syntax = ValueSyntax::kJson;
  bool whole = false;
  bool raw = false;
  // Characters of the whole text. Of each outermost alternative at most one part may then vary in
  // its length, if not all lengths it can have are within.
  int64_t min_length = 0;
  std::optional<int64_t> max_length = {};
};
absl::StatusOr<std::string> PatternToEbnf(absl::string_view pattern, const PatternOptions& options);

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_PATTERN_GRAMMAR_H_
