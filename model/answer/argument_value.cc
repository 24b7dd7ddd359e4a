#include "model/answer/argument_value.h"

#include "absl/strings/match.h"
#include "model/answer/json_text.h"

namespace facet {
namespace {

// The types that a value of this spelling has; 0: it is a string.
JsonTypes SpelledType(absl::string_view text) {
  if (text == "null") return kNullType;
  if (text == "true" || text == "false") return kBooleanType;
  switch (JsonNumberKind(text)) {
    case NumberKind::kInteger:
      return kIntegerType;
    case NumberKind::kReal:
      return kNumberType;
    case NumberKind::kNone:
      return 0;
  }
  return 0;
}

// JSON's spelling of Python's constants.
absl::string_view FromPython(absl::string_view text) {
  if (text == "None") return "null";
  if (text == "True") return "true";
  if (text == "False") return "false";
  return text;
}

}  // namespace

std::string QuotedValue(absl::string_view text, JsonTypes types) {
  if (StaysString(types)) return JsonString(text);
  const absl::string_view json = FromPython(text);
  if ((SpelledType(json) & types) != 0) return std::string(json);
  return JsonString(text);
}

std::string BareValue(absl::string_view text, JsonTypes types) {
  std::string inside;
  if (UnquoteAscii(text, &inside)) return QuotedValue(inside, types);
  const JsonTypes type = SpelledType(text);
  if (type == 0) return QuotedValue(text, types);
  if (type != kNullType && (type & types) == 0 && StaysString(types)) return JsonString(text);
  return std::string(text);
}

}  // namespace facet
