#ifndef FACET_SHARD_GRAMMAR_SCHEMA_SCHEMA_MERGE_H_
#define FACET_SHARD_GRAMMAR_SCHEMA_SCHEMA_MERGE_H_

#include <string>

#include "absl/status/statusor.h"
#include "shard/grammar/schema/schema_document.h"

namespace facet {

// Schemas that must hold together, as one.
class SchemaMerger {
 public:
  // Borrowed.
  explicit SchemaMerger(const SchemaDocument* document) : document_(document) {}

  // A schema with the same values where allOf is no more, and $ref, anyOf and oneOf stand alone:
  // what stands beside them has gone into what they lead to. Such a schema comes back as it is.
  // Refused at `pointer`: what stands together cannot be merged.
  absl::StatusOr<SchemaJson> Normal(const SchemaJson& schema, const std::string& pointer,
                                    int depth);
  // Whether Normal has anything to do.
  static bool Merges(const SchemaJson& schema);

 private:
  absl::Status Spend(size_t merges, const std::string& pointer);
  // The schema of what satisfies both.
  absl::StatusOr<SchemaJson> Both(const SchemaJson& a, const SchemaJson& b,
                                  const std::string& pointer, int depth);
  absl::StatusOr<SchemaJson> Distributed(const SchemaJson& branches, const char* word,
                                         const SchemaJson& other, const std::string& pointer,
                                         int depth);
  absl::StatusOr<SchemaJson> Plain(const SchemaJson& a, const SchemaJson& b,
                                   const std::string& pointer, int depth);
  absl::StatusOr<SchemaJson> Properties(const SchemaJson& a, const SchemaJson& b,
                                        const std::string& pointer, int depth);

  const SchemaDocument* const document_;
  size_t merges_ = 0;
};

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_SCHEMA_SCHEMA_MERGE_H_
