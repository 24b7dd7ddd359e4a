#include <map>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/grammar/pattern_grammar.h"
#include "shard/grammar/schema/schema_rules.h"

namespace facet {
namespace {

// Texts that every validator takes for the format, not all there are.
const std::map<std::string, std::string>& Formats() {
  const char* const date = "[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])";
  const char* const time =
      "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9]"
      ")";
  const char* const byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
  const char* const host =
      "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?(\\.[a-z]([a-z0-9-]{0,30}[a-z0-9])?){0,5}";
  const char* const in_uri = "([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})";
  // Of at most 2083 characters, as long as browsers used to take and models are told to hold to.
  const std::string uri =
      absl::StrCat("[a-z][a-z0-9+-]{0,15}://", host, "(:[1-9][0-9]{0,3})?(/", in_uri,
                   "{0,40}){0,8}(\\?(", in_uri, "|[/?]){0,200})?(#(", in_uri, "|[/?]){0,80})?");
  static const auto& formats = *new std::map<std::string, std::string>{
      {"date", date},
      {"time", time},
      {"date-time", absl::StrCat(date, "T", time)},
      {"duration",
       "P([1-9][0-9]{0,3}D|([1-9][0-9]{0,3}D)?T([1-9][0-9]{0,3}H([0-9]{1,2}M)?|"
       "[1-9][0-9]{0,3}M|[0-9]{1,4}S))"},
      {"uuid", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"},
      {"ipv4", absl::StrCat("(", byte, "\\.){3}", byte)},
      {"ipv6", "([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}"},
      {"hostname", host},
      {"uri", uri},
      {"uri-reference", uri},
      {"iri", uri},
      {"email",
       "[A-Za-z0-9_+-]{1,32}(\\.[A-Za-z0-9_+-]{1,16}){0,2}@[A-Za-z0-9]{1,32}"
       "(\\.[A-Za-z]{2,12}){1,3}"}};
  return formats;
}

}  // namespace

absl::StatusOr<RuleTable::Choice> SchemaRules::String(const Json& schema,
                                                      const std::string& pointer) {
  for (const char* word : {"pattern", "format"}) {
    if (schema.contains(word) && !schema[word].is_string()) {
      return RefuseAt(Below(pointer, word), "must be a string");
    }
  }
  FACET_ASSIGN_OR_RETURN(const int64_t low,
                         Count(schema, pointer, "minLength", 0, kMaxSchemaLength));
  std::optional<int64_t> high;
  if (schema.contains("maxLength")) {
    FACET_ASSIGN_OR_RETURN(high, Count(schema, pointer, "maxLength", 0, kMaxSchemaLength));
    if (low > *high) return RefuseAt(Below(pointer, "minLength"), "more than maxLength");
  }
  if (!schema.contains("pattern") && !schema.contains("format")) {
    return Choice{values_.SizedString(low, high), {}};
  }
  const char* const word = schema.contains("pattern") ? "pattern" : "format";
  if (schema.contains("pattern") && schema.contains("format")) {
    return RefuseAt(Below(pointer, "format"), "not supported beside a pattern");
  }
  std::string pattern = schema[word].get<std::string>();
  if (*word == 'f') {
    const auto found = Formats().find(pattern);
    if (found == Formats().end())
      return RefuseAt(Below(pointer, word), "this format is not supported");
    pattern = found->second;
  }
  const auto ebnf = PatternToEbnf(
      pattern,
      {.syntax = options_.syntax, .whole = *word == 'f', .min_length = low, .max_length = high});
  if (!ebnf.ok()) return RefuseAt(Below(pointer, word), ebnf.status().message());
  return Choice{values_.String(*ebnf), {}};
}

}  // namespace facet
