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

std::string ValueRules::EndOfString(absl::string_view before) const {
  // Text never runs on over the token that closes a string of a call.
  if (syntax() == ValueSyntax::kCall) return "";
  return absl::StrCat(" (= ", before, "[ \\n]* [,:}\\]])");
}

std::string ValueRules::TextRule(absl::string_view name, bool may_end,
                                 absl::string_view next) const {
  std::vector<std::string> choices;
  if (may_end) choices.push_back(Quote());
  if (syntax() == ValueSyntax::kCall) {
    choices.push_back(absl::StrCat(EbnfClass(Complement({})), " ", next));
  } else {
    // No rule ends within the text but for rare characters: at the end of a rule every token would
    // have to be tried against what called it. A chain of rules has one place for all its escapes,
    // as each place costs 7 ms to compile.
    std::vector<std::string> characters = {"[ !#-\\[\\]-\\u007f]", Name("wide")};
    if (next == name) {
      characters.push_back("\"\\\\\" [\"\\\\/bfnrt]");
      characters.push_back(absl::StrCat("\"\\\\u\" ", Name("hex")));
    } else {
      characters.push_back(Name("escaped"));
    }
    for (const std::string& character : characters) {
      choices.push_back(absl::StrCat(character, " ", next));
    }
  }
  return absl::StrCat(name, " ::= (", absl::StrJoin(choices, " | "), ")", EndOfString(""), "\n");
}

std::string ValueRules::SizedString(int64_t low, std::optional<int64_t> high) {
  const auto chain = [&](int64_t count) { return Name(absl::StrCat("upto", count)); };
  std::string rest = Name("text");
  if (high && *high <= kCountedCharacters) {
    counted_ = std::max(counted_, *high);
    rest = chain(*high - low);
  } else if (high) {
    // The library counts an escape as the two or six characters that it is written with.
    const std::string name = Name(absl::StrCat("long", *high - low));
    forced_[name] =
        absl::StrCat(name, "[max_chars=", *high - low, "] ::= ", kPlain, "* (", Name("escaped"),
                     " ", kPlain, "*)*", EndOfString("\"\\\"\" "), "\n");
    rest = absl::StrCat(name, " ", Quote());
  }
  if (low == 0) return absl::StrCat(Quote(), " ", rest);
  std::string next = rest;
  for (int64_t left = 1; left <= low; ++left) {
    const std::string name =
        Name(absl::StrCat("min", left, "_", high ? absl::StrCat(*high - low) : "any"));
    forced_[name] = TextRule(name, /*may_end=*/false, next);
    next = name;
  }
  return absl::StrCat(Quote(), " ", next);
}

std::string ValueRules::String(const std::string& content) const {
  return absl::StrCat(Quote(), " ", content.empty() ? "\"\"" : content, " ", Quote());
}

std::string ValueRules::Key(const std::string& name) const {
  if (syntax() == ValueSyntax::kJson) return Literal(name);
  return IsBareKey(name) ? EbnfLiteral(name) : String(name.empty() ? "" : EbnfLiteral(name));
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
    rule("wide", "[\\u0080-\\ud7ff\\ue000-\\U0010ffff]");
    // Never half of a surrogate pair.
    rule("hex", "[0-9a-cA-CefEF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}");
    rule("escaped", absl::StrCat("\"\\\\\" ([\"\\\\/bfnrt] | \"u\" ", Name("hex"), ")"));
    rule("ws", "\"\" | \" \" | \"\\n\" \" \"{0,32}");
    rule("key", absl::StrCat(Quote(), " ", Name("text")));
  } else {
    rule("key", absl::StrCat("[A-Za-z_] [A-Za-z0-9_]* | ", Quote(), " ", Name("text")));
  }
  rule("string", absl::StrCat(Quote(), " ", Name("text")));
  if (json) {
    absl::StrAppend(&out, TextRule(Name("text"), true, Name("text")));
  } else {
    rule("text", absl::StrCat(Character(), "* ", Quote()));
  }
  for (int64_t count = 0; count <= counted_; ++count) {
    const std::string name = Name(absl::StrCat("upto", count));
    if (count == 0) {
      absl::StrAppend(&out, name, " ::= ", Quote(), EndOfString(""), "\n");
    } else {
      absl::StrAppend(&out, TextRule(name, true, Name(absl::StrCat("upto", count - 1))));
    }
  }
  for (const auto& [name, text] : forced_) out += text;
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
