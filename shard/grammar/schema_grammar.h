#ifndef FACET_SHARD_GRAMMAR_SCHEMA_GRAMMAR_H_
#define FACET_SHARD_GRAMMAR_SCHEMA_GRAMMAR_H_

// JSON schemas as EBNF rules, for JSON texts and for the arguments of Gemma's tool calls.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "shard/grammar/grammar_text.h"

namespace facet {

struct SchemaGrammarOptions {
  ValueSyntax syntax = ValueSyntax::kJson;
  CallTokens tokens = {};       // for kCall
  std::string prefix = {};      // of every rule's name, e.g. "t0_"
  bool root_is_object = false;  // refuse a schema whose values are anything but objects
  // Instead of refusing what cannot be enforced: leave the keyword out, or where that does not help
  // let the smallest schema around it have any value of its type. With root_is_object a schema of
  // which nothing can be kept is any object.
  bool widen = false;
};

struct SchemaGrammar {
  std::string rules;  // EBNF, one rule a line
  std::string root;   // the element for the whole value
  // With `widen`, what was left out: "/properties/a/format: why", at most 100.
  std::vector<std::string> not_enforced = {};
};

// Every text of the grammar validates against the schema (Draft 2020-12); the grammar does not
// yield every text that would: properties come in one order (JSON: as the schema lists them;
// calls: by lower-cased name, the order in which the chat template writes them), objects that list
// properties have no others, numbers and white space are bounded.
//
// InvalidArgument, beginning with the JSON pointer of the place ("/properties/a/pattern: .."), for
// a schema that is malformed, that no finite value satisfies, or that uses a keyword which the
// grammar would not enforce. Nothing is ignored but annotations. ResourceExhausted never; sizes
// over the limits of docs/structured-output.md are InvalidArgument too.
absl::StatusOr<SchemaGrammar> SchemaToGrammar(absl::string_view schema,
                                              const SchemaGrammarOptions& options);

// The same for any object at all: what a tool without parameters or a JSON answer without a schema
// may hold. Nested at most 5 deep.
SchemaGrammar AnyObjectGrammar(const SchemaGrammarOptions& options);

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_SCHEMA_GRAMMAR_H_
