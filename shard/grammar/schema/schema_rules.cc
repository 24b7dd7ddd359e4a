#include "shard/grammar/schema/schema_rules.h"

#include <cmath>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "shard/grammar/number_grammar.h"

namespace facet {
namespace {

// Of schemas, those visited again included.
constexpr int kMaxVisits = 20'000;
// Notes of what is not enforced; more say nothing new.
constexpr size_t kMaxNotes = 100;

// The key that follows `pointer` in a longer one; empty: it is none.
std::string KeyAfter(const std::string& pointer, const std::string& longer) {
  if (!absl::StartsWith(longer, absl::StrCat(pointer, "/"))) return "";
  return longer.substr(pointer.size() + 1,
                       longer.find('/', pointer.size() + 1) - pointer.size() - 1);
}

}  // namespace

absl::StatusOr<SchemaGrammar> SchemaRules::Convert() {
  FACET_ASSIGN_OR_RETURN(const Rule top, Visit(document_.root(), "", 0));
  if (options_.root_is_object) {
    FACET_ASSIGN_OR_RETURN(const Json root, merger_.Normal(document_.root(), "", 0));
    FACET_ASSIGN_OR_RETURN(const SchemaTypes types, document_.TypesOf(root, "", 0));
    if (types != SchemaTypes{"object"}) return RefuseAt("/type", "must be \"object\"");
  }
  FACET_RETURN_IF_ERROR(table_.CheckThatValuesEnd());
  return SchemaGrammar{absl::StrCat(values_.Common(), table_.Ebnf()), top.ebnf,
                       std::move(not_enforced_)};
}

absl::StatusOr<RuleTable::Rule> SchemaRules::Visit(const Json& schema, const std::string& pointer,
                                                   int depth) {
  const Json* const place = merged_ == 0 ? &schema : nullptr;
  if (place != nullptr) {
    const auto known = ids_.find(place);
    if (known != ids_.end()) return table_.Get(known->second);
  }
  const size_t size = table_.size();
  auto rule = VisitObject(schema, place, pointer, depth);
  if (rule.ok() || !options_.widen) return rule;
  Json left = schema;
  while (!rule.ok()) {
    const auto [at, why] = PointerAndReason(rule.status());
    const std::string note = absl::StrCat(at.empty() ? "/" : at, ": ", why);
    if (not_enforced_.size() < kMaxNotes && !absl::c_linear_search(not_enforced_, note)) {
      not_enforced_.push_back(note);
    }
    table_.Shrink(size);
    absl::erase_if(ids_,
                   [size](const auto& entry) { return static_cast<size_t>(entry.second) >= size; });
    const std::string key = KeyAfter(pointer, at);
    if (key == "type" || !left.is_object() || left.erase(key) == 0) break;
    rule = VisitObject(left, place, pointer, depth);
  }
  if (rule.ok()) return rule;
  const auto types = schema.is_object() && schema.contains("type")
                         ? DeclaredTypes(schema["type"], pointer)
                         : absl::StatusOr<SchemaTypes>(EveryType());
  const auto any = [this](std::string* out, const std::string& type) {
    out->append(AnyOfType(type));
  };
  return Rule{absl::StrCat("(", absl::StrJoin(types.ok() ? *types : EveryType(), " | ", any), ")")};
}

absl::StatusOr<RuleTable::Rule> SchemaRules::VisitObject(const Json& schema, const Json* place,
                                                         const std::string& pointer, int depth) {
  if (depth > kMaxSchemaDepth) return RefuseAt(pointer, "nested too deep");
  if (++visits_ > kMaxVisits) {
    return RefuseAt(pointer, absl::StrCat("the schema comes to more than ", kMaxVisits, " places"));
  }
  if (schema.is_boolean() && schema.get<bool>()) return Rule{values_.Any()};
  if (schema.is_boolean()) return RefuseAt(pointer, "no value satisfies the schema false");
  if (!schema.is_object()) return RefuseAt(pointer, "must be an object or a boolean");
  const bool merges = SchemaMerger::Merges(schema);
  const bool same = &schema == place && !merges;
  Json merged;
  if (merges) {
    FACET_ASSIGN_OR_RETURN(merged, merger_.Normal(schema, pointer, depth));
    if (!merged.is_object()) return VisitObject(merged, nullptr, pointer, depth);
  }
  const Json& what = merges ? merged : schema;
  FACET_ASSIGN_OR_RETURN(const int id, table_.New(pointer));
  if (place != nullptr) ids_[place] = id;
  merged_ += same ? 0 : 1;
  std::vector<Choice> choices;
  const absl::Status status = [&]() -> absl::Status {
    FACET_RETURN_IF_ERROR(CheckKeywords(what, pointer));
    for (const auto& [key, value] : what.items()) {
      if (IsWhole(key)) return VisitWhole(what, pointer, depth, &choices);
    }
    FACET_ASSIGN_OR_RETURN(const SchemaTypes types, document_.TypesOf(what, pointer, depth));
    for (const std::string& type : types) {
      FACET_ASSIGN_OR_RETURN(Choice choice, OfType(type, what, pointer, depth));
      choices.push_back(std::move(choice));
    }
    return absl::OkStatus();
  }();
  merged_ -= same ? 0 : 1;
  FACET_RETURN_IF_ERROR(status);
  FACET_RETURN_IF_ERROR(table_.SetBody(id, choices));
  return table_.Get(id);
}

absl::Status SchemaRules::CheckKeywords(const Json& schema, const std::string& pointer) const {
  std::string whole;
  for (const auto& [key, value] : schema.items()) {
    if (IsWhole(key)) whole = key;
  }
  for (const auto& [key, value] : schema.items()) {
    if (key == "$id" && !pointer.empty()) return RefuseAt(Below(pointer, key), "only at the root");
    if (key == "$schema" && (!value.is_string() || !absl::StrContains(value.get<std::string>(),
                                                                      "//json-schema.org/draft"))) {
      return RefuseAt(Below(pointer, key), "an unknown dialect");
    }
    if (IsAnnotation(key)) continue;
    if (key != "type" && !IsWhole(key) && TypeOfKeyword(key).empty()) {
      return RefuseAt(Below(pointer, key), "this keyword is not supported");
    }
    const bool typed_values = key == "type" && (whole == "enum" || whole == "const");
    if (!whole.empty() && key != whole && !typed_values) {
      return RefuseAt(Below(pointer, key), absl::StrCat("not supported beside ", whole));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<RuleTable::Choice> SchemaRules::OfType(const std::string& type, const Json& schema,
                                                      const std::string& pointer, int depth) {
  if (type == "object") return Object(schema, pointer, depth);
  if (type == "array") return Array(schema, pointer, depth);
  if (type == "string") return String(schema, pointer);
  if (type == "number" || type == "integer") return Number(type, schema, pointer);
  return Choice{AnyOfType(type), {}};
}

std::string SchemaRules::AnyOfType(const std::string& type) const {
  if (type == "object") return values_.AnyObject();
  if (type == "array") return values_.AnyArray();
  if (type == "string") return values_.AnyString();
  if (type == "number") return NumberEbnf({}, {});
  if (type == "integer") return IntegerEbnf({});
  return type == "null" ? "\"null\"" : "(\"true\" | \"false\")";
}

absl::StatusOr<int64_t> SchemaRules::Count(const Json& schema, const std::string& pointer,
                                           const char* word, int64_t absent, int64_t limit) {
  if (!schema.contains(word)) return absent;
  const Json& value = schema[word];
  const bool whole = value.is_number() && value.get<double>() >= 0 &&
                     std::floor(value.get<double>()) == value.get<double>();
  if (!whole) return RefuseAt(Below(pointer, word), "must be a number of things");
  if (value.get<double>() > static_cast<double>(limit)) {
    return RefuseAt(Below(pointer, word), absl::StrCat("the limit is ", limit));
  }
  return static_cast<int64_t>(value.get<double>());
}

std::string SchemaRules::Repeated(const std::string& item, int64_t low,
                                  std::optional<int64_t> high) {
  if (high == 0) return "\"\"";
  if (low == 0 && !high) return absl::StrCat("(", item, ")*");
  return absl::StrCat("(", item, "){", low, ",", high ? absl::StrCat(*high) : "", "}");
}

absl::StatusOr<SchemaGrammar> SchemaToGrammar(absl::string_view schema,
                                              const SchemaGrammarOptions& options) {
  FACET_ASSIGN_OR_RETURN(SchemaDocument document, SchemaDocument::Parse(schema));
  // Arguments without a word on them: any object.
  if (options.root_is_object && document.root().is_object() &&
      SaysNothingBut(document.root(), "")) {
    return AnyObjectGrammar(options);
  }
  auto grammar = SchemaRules(options, std::move(document)).Convert();
  if (grammar.ok() || !options.widen || !options.root_is_object) return grammar;
  SchemaGrammar any = AnyObjectGrammar(options);
  any.not_enforced = {std::string(grammar.status().message())};
  return any;
}

SchemaGrammar AnyObjectGrammar(const SchemaGrammarOptions& options) {
  const ValueRules values(options);
  return {values.Common(), values.AnyObject(), {}};
}

}  // namespace facet
