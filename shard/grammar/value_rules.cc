#include "shard/grammar/value_rules.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "shard/grammar/number_grammar.h"

namespace facet {
namespace {

constexpr int kAnyDepth = 5;
// A character that stands for itself in a JSON string.
constexpr char kPlain[] = "[ !#-\\[\\]-\\ud7ff\\ue000-\\U0010ffff]";

bool IsBareKey(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.';
  });
}

}  // namespace

std::string ValueRules::Space() const {
  return syntax() == ValueSyntax::kJson ? absl::StrCat(" ", Name("ws"), " ") : " ";
}

std::string ValueRules::Quote() const {
  return syntax() == ValueSyntax::kJson ? "\"\\\"\""
                                        : absl::StrCat("Token(", options_.tokens.quote, ")");
}

std::string ValueRules::Character() const {
  if (syntax() == ValueSyntax::kCall) return EbnfClass(Complement({}));
  return absl::StrCat("(", kPlain, " | ", Name("escaped"), ")");
}

std::string ValueRules::SizedString(int64_t low, std::optional<int64_t> high) {
  if (low == 0 && !high) return Name("string");
  const std::string name =
      Name(absl::StrCat("string", low, "_", high ? absl::StrCat(*high) : "any"));
  sized_[name] = absl::StrCat(name, " ::= ", Quote(), " ", Character(), "{", low, ",",
                              high ? absl::StrCat(*high) : "", "} ", Quote(), "\n");
  return name;
}

std::string ValueRules::String(const std::string& content) const {
  return absl::StrCat(Quote(), " ", content.empty() ? "\"\"" : content, " ", Quote());
}

std::string ValueRules::Key(const std::string& name) const {
  if (syntax() == ValueSyntax::kJson) return Literal(name);
  return IsBareKey(name) ? EbnfLiteral(name) : String(name.empty() ? "" : EbnfLiteral(name));
}

bool ValueRules::CanWrite(const nlohmann::ordered_json& value) const {
  if (syntax() == ValueSyntax::kJson) return true;
  const std::string text =
      value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  return text.find("\\u0000") == std::string::npos;
}

std::string ValueRules::Literal(const nlohmann::ordered_json& value) const {
  if (syntax() == ValueSyntax::kJson) return EbnfLiteral(value.dump());
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    return String(text.empty() ? "" : EbnfLiteral(text));
  }
  if (!value.is_structured()) return EbnfLiteral(value.dump());
  std::vector<std::string> parts;
  for (const auto& [key, member] : value.items()) {
    parts.push_back(value.is_object() ? absl::StrCat(Key(key), " \":\" ", Literal(member))
                                      : Literal(member));
  }
  const std::string inner = absl::StrJoin(parts, " \",\" ");
  return value.is_object() ? absl::StrCat("\"{\" ", inner, " \"}\"")
                           : absl::StrCat("\"[\" ", inner, " \"]\"");
}

std::string ValueRules::Common() const {
  std::string out;
  const auto rule = [&](absl::string_view name, absl::string_view body) {
    absl::StrAppend(&out, Name(name), " ::= ", body, "\n");
  };
  const bool json = syntax() == ValueSyntax::kJson;
  const std::string space = Space();
  if (json) {
    // Never half of a surrogate pair.
    rule("hex", "[0-9a-cA-CefEF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}");
    rule("escaped", absl::StrCat("\"\\\\\" ([\"\\\\/bfnrt] | \"u\" ", Name("hex"), ")"));
    rule("ws", "\"\" | \" \" | \"\\n\" \" \"{0,32}");
  }
  rule("string", absl::StrCat(Quote(), " ", Character(), "* ", Quote()));
  rule("key", absl::StrCat(json ? "" : "[A-Za-z_] [A-Za-z0-9_]* | ", Name("string")));
  for (const auto& [name, text] : sized_) out += text;
  rule("scalar", absl::StrCat(Name("string"), " | ", NumberEbnf({}, {}),
                              " | \"true\" | \"false\" | \"null\""));
  rule("any0", Name("scalar"));
  for (int depth = 1; depth <= kAnyDepth; ++depth) {
    const std::string below = Name(absl::StrCat("any", depth - 1));
    const std::string pair = absl::StrCat(AnyKey(), space, "\":\"", space, below);
    const std::string comma = absl::StrCat(space, "\",\"", space);
    rule(absl::StrCat("object", depth),
         absl::StrCat("\"{\"", space, "(", pair, " (", comma, pair, ")*", space, ")? \"}\""));
    rule(absl::StrCat("array", depth),
         absl::StrCat("\"[\"", space, "(", below, " (", comma, below, ")*", space, ")? \"]\""));
    rule(absl::StrCat("any", depth),
         absl::StrCat(Name("scalar"), " | ", Name(absl::StrCat("object", depth)), " | ",
                      Name(absl::StrCat("array", depth))));
  }
  return out;
}

}  // namespace facet
