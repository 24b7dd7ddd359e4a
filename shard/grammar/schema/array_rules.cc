#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/grammar/schema/schema_rules.h"

namespace facet {

absl::StatusOr<RuleTable::Choice> SchemaRules::Array(const Json& schema, const std::string& pointer,
                                                     int depth) {
  FACET_ASSIGN_OR_RETURN(const int64_t low, Count(schema, pointer, "minItems", 0, kMaxSchemaCount));
  std::optional<int64_t> high;
  if (schema.contains("maxItems")) {
    FACET_ASSIGN_OR_RETURN(high, Count(schema, pointer, "maxItems", 0, kMaxSchemaCount));
  }
  // Before Draft 2020-12 a tuple was a list in `items`, and the others `additionalItems`.
  const bool old = schema.contains("items") && schema["items"].is_array();
  const char* const tuple = old ? "items" : "prefixItems";
  const char* const others = old ? "additionalItems" : "items";
  if (!old && schema.contains("additionalItems")) {
    return RefuseAt(Below(pointer, "additionalItems"), "only beside a list in items");
  }
  const std::string at = Below(pointer, tuple);
  size_t given = 0;
  if (schema.contains(tuple)) {
    const Json& items = schema[tuple];
    if (!items.is_array() || items.empty()) return RefuseAt(at, "must be a list of schemas");
    if (items.size() > static_cast<size_t>(kMaxSchemaCount)) {
      return RefuseAt(at, absl::StrCat("more than ", kMaxSchemaCount, " schemas"));
    }
    given = static_cast<size_t>(std::find_if(items.begin(), items.end(), IsFalse) - items.begin());
    if (given < items.size())
      high = std::min<int64_t>(high.value_or(kMaxSchemaCount), static_cast<int64_t>(given));
  }
  const bool closed = schema.contains(others) && IsFalse(schema[others]);
  if (closed) high = std::min<int64_t>(high.value_or(kMaxSchemaCount), static_cast<int64_t>(given));
  // All that can be refused comes before the first visit: a refusal may cost another round of them.
  if (high && *high < low) return RefuseAt(Below(pointer, "minItems"), "no array is so long");
  if (schema.contains("uniqueItems") && schema["uniqueItems"] != false && high.value_or(2) > 1) {
    return RefuseAt(Below(pointer, "uniqueItems"), "this keyword is not supported");
  }
  std::vector<Rule> prefix;
  for (size_t i = 0; i < given; ++i) {
    FACET_ASSIGN_OR_RETURN(const Rule rule,
                           Visit(schema[tuple][i], absl::StrCat(at, "/", i), depth + 1));
    prefix.push_back(rule);
  }
  Rule item{values_.Any()};
  if (schema.contains(others) && !closed) {
    FACET_ASSIGN_OR_RETURN(item, Visit(schema[others], Below(pointer, others), depth + 1));
  }
  return Items(prefix, item, low, high);
}

// [ a, b, item, item .. ]: the places that must be filled stand plainly, the others in a chain of
// optional groups.
RuleTable::Choice SchemaRules::Items(const std::vector<Rule>& prefix, const Rule& item, int64_t low,
                                     std::optional<int64_t> high) const {
  const std::string space = values_.Space();
  const std::string comma = absl::StrCat(space, "\",\"", space);
  const std::string open = absl::StrCat("\"[\"", space), close = absl::StrCat(space, "\"]\"");
  if (high == 0) return {absl::StrCat(open, "\"]\""), {}};
  std::vector<int> needs;
  const auto given = static_cast<int64_t>(prefix.size());
  // From the last place to the first; `tail` follows the place at hand.
  std::string tail;
  const int64_t places = std::max<int64_t>(given, 1);
  if (!high || *high > places) {
    tail = " " + Repeated(absl::StrCat(comma, item.ebnf), std::max<int64_t>(0, low - places),
                          high ? std::optional(*high - places) : std::nullopt);
    if (low > places) needs.push_back(item.id);
  }
  for (int64_t i = places; i-- > 0;) {
    if (high && i >= *high) continue;
    const Rule& rule = i < given ? prefix[static_cast<size_t>(i)] : item;
    const std::string place = absl::StrCat(i == 0 ? "" : comma, rule.ebnf, tail);
    if (i < low) needs.push_back(rule.id);
    tail = i < low ? absl::StrCat(" ", place) : absl::StrCat(" (", place, ")?");
  }
  return {absl::StrCat(open, tail, close), needs};
}

}  // namespace facet
