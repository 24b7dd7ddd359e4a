#ifndef FACET_SHARD_GRAMMAR_SCHEMA_SCHEMA_DOCUMENT_H_
#define FACET_SHARD_GRAMMAR_SCHEMA_SCHEMA_DOCUMENT_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "shard/grammar/schema/schema_keywords.h"

namespace facet {

// The text of a schema and what its references lead to. All errors are of RefuseAt.
class SchemaDocument {
 public:
  static absl::StatusOr<SchemaDocument> Parse(absl::string_view text);

  const SchemaJson& root() const { return root_; }

  // Where a reference (#, #/..) that stands at `pointer` leads: the schema and its pointer.
  absl::StatusOr<std::pair<const SchemaJson*, std::string>> Resolve(
      const SchemaJson& reference, const std::string& pointer) const;
  // A schema, or what it refers to if it is a reference and nothing more.
  absl::StatusOr<const SchemaJson*> Followed(const SchemaJson& schema,
                                             const std::string& pointer) const;

  // The types that a schema's values may have; "integer" only without "number". No keyword that
  // says it: all of them. An upper bound: a value of such a type need not exist.
  absl::StatusOr<SchemaTypes> TypesOf(const SchemaJson& schema, const std::string& pointer,
                                      int depth) const;

 private:
  explicit SchemaDocument(SchemaJson root) : root_(std::move(root)) {}
  SchemaJson root_;
};

// Those of the keyword `type`.
absl::StatusOr<SchemaTypes> DeclaredTypes(const SchemaJson& type, const std::string& pointer);
const SchemaTypes& EveryType();

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_SCHEMA_SCHEMA_DOCUMENT_H_
