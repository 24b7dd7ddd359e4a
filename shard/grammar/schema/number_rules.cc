#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "shard/grammar/number_grammar.h"
#include "shard/grammar/schema/schema_rules.h"

namespace facet {

absl::StatusOr<RuleTable::Choice> SchemaRules::Number(const std::string& type, const Json& schema,
                                                      const std::string& pointer) const {
  if (schema.contains("multipleOf") && (type != "integer" || schema["multipleOf"] != 1)) {
    return RefuseAt(Below(pointer, "multipleOf"), "only 1, for integers");
  }
  constexpr auto kLargest = static_cast<double>(kLargestNumberBound);
  IntegerRange integers, decimals;
  const auto raise = [](std::optional<int64_t>& low, double to) {
    low = std::max(low.value_or(INT64_MIN), static_cast<int64_t>(to));
  };
  const auto lower = [](std::optional<int64_t>& high, double to) {
    high = std::min(high.value_or(INT64_MAX), static_cast<int64_t>(to));
  };
  std::string last;
  for (const char* word : {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}) {
    if (!schema.contains(word)) continue;
    const bool exclusive = *word == 'e', least = word[exclusive ? 10 : 1] == 'i';
    const bool is_number = schema[word].is_number();
    // Beyond what the grammar counts with: the nearest bound that it does, if that is within.
    const double bound = !is_number ? 0
                         : least    ? std::max(schema[word].get<double>(), -kLargest)
                                    : std::min(schema[word].get<double>(), kLargest);
    if (!is_number || std::abs(bound) > kLargest) {
      return RefuseAt(Below(pointer, word),
                      absl::StrCat("must be a number of at most ", kLargestNumberBound));
    }
    if (least) {
      raise(integers.low, exclusive ? std::floor(bound) + 1 : std::ceil(bound));
      raise(decimals.low, std::ceil(bound));
    } else {
      lower(integers.high, exclusive ? std::ceil(bound) - 1 : std::floor(bound));
      lower(decimals.high, std::floor(bound));
    }
    last = word;
  }
  const std::string ebnf = type == "number"   ? NumberEbnf(integers, decimals)
                           : integers.Empty() ? ""
                                              : IntegerEbnf(integers);
  if (ebnf.empty()) {
    return RefuseAt(Below(pointer, last), "the grammar knows no number within these bounds");
  }
  return Choice{ebnf, {}};
}

}  // namespace facet
