#ifndef FACET_SHARD_GRAMMAR_EBNF_CHECK_H_
#define FACET_SHARD_GRAMMAR_EBNF_CHECK_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace facet {

// Refuses rules from a caller that would cost too much to compile, or that would reach beyond text:
// more than 32 KiB or 200 rules, groups nested deeper than 32, repetitions that come to more than
// 2000 elements when written out, invalid UTF-8, and function-like words such as Token(..) and
// attributes in brackets. InvalidArgument with the line. Whether the rules are sound is
// the compiler's business.
absl::Status CheckCallersEbnf(absl::string_view ebnf);

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_EBNF_CHECK_H_
