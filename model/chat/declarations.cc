#include "model/chat/declarations.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/chat/ordered_json.h"
#include "model/chat/values.h"

namespace facet {
namespace {

// As FindMember, but null is a value.
const OrderedJson* Get(const OrderedJson& value, absl::string_view key) {
  if (!value.is_object()) return nullptr;
  for (const Member& member : value.get_ref<const OrderedJson::object_t&>()) {
    if (member.first == key) return &member.second;
  }
  return nullptr;
}

// Whether the template takes a value for something: not absent, null, false, 0 or empty.
bool Truthy(const OrderedJson* value) {
  if (value == nullptr || value->is_null()) return false;
  if (value->is_boolean()) return value->get<bool>();
  if (value->is_number()) return value->get<double>() != 0;
  if (value->is_string()) return !value->get_ref<const std::string&>().empty();
  return value->is_binary() || !value->empty();
}

bool IsStandardKey(absl::string_view key) {
  return key == "description" || key == "type" || key == "properties" || key == "required" ||
         key == "nullable";
}

bool IsTypeName(const OrderedJson& value) {
  if (!value.is_string()) return false;
  const std::string& name = value.get_ref<const std::string&>();
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-'; });
}

std::string UpperCase(const OrderedJson& name) {
  return absl::AsciiStrToUpper(name.get_ref<const std::string&>());
}

class Writer {
 public:
  explicit Writer(PromptText& out) : out_(out) {}

  absl::Status Declare(const Tool& tool, const std::string& path) && {
    out_.Markup("declaration:");
    out_.Caller(tool.name);
    out_.Markup("{description:");
    out_.Quoted(tool.description);
    if (Truthy(&tool.parameters)) Parameters(tool.parameters, path + ".parameters");
    if (tool.response) Response(*tool.response, path + ".response");
    out_.Markup("}");
    return status_;
  }

 private:
  void Fail(const std::string& path, const OrderedJson& value, absl::string_view expected) {
    if (!status_.ok()) return;
    status_ = absl::InvalidArgumentError(
        absl::StrCat(path, ": ", Excerpt(value), " where ", expected, " is expected"));
  }

  void Parameters(const OrderedJson& schema, const std::string& path) {
    if (!schema.is_object()) return Fail(path, schema, "a JSON Schema object");
    out_.Markup(",parameters:{");
    if (const OrderedJson* properties = Get(schema, "properties"); Truthy(properties)) {
      out_.Markup("properties:{");
      Properties(*properties, path + ".properties", /*skip_standard_keys=*/false);
      out_.Markup("},");
    }
    if (const OrderedJson* required = Get(schema, "required"); Truthy(required)) {
      Required(*required, path);
      out_.Markup(",");
    }
    if (Truthy(Get(schema, "type"))) {  // it closes the brace: without one, the template does not
      out_.Markup("type:");
      out_.Quoted(Type(schema, path));
      out_.Markup("}");
    }
  }

  void Response(const OrderedJson& schema, const std::string& path) {
    if (!schema.is_object()) return Fail(path, schema, "a JSON Schema object");
    out_.Markup(",response:{");
    if (Truthy(Get(schema, "description"))) {
      Description(schema, path);
      out_.Markup(",");
    }
    if (Type(schema, path) == "OBJECT") {
      out_.Markup("type:");
      out_.Quoted("OBJECT");
      out_.Markup("}");
    }
  }

  // All properties; or those of a schema that has its properties among its own keys.
  void Properties(const OrderedJson& properties, const std::string& path, bool skip_standard_keys) {
    if (!properties.is_object()) return Fail(path, properties, "an object");
    Commas commas(out_);
    for (const Member* member : SortedMembers(properties)) {
      if (skip_standard_keys && IsStandardKey(member->first)) continue;
      commas.Next();
      out_.Caller(member->first);
      out_.Markup(":{");
      Property(member->second, absl::StrCat(path, ".", member->first));
      out_.Markup("}");
    }
  }

  void Property(const OrderedJson& schema, const std::string& path) {
    Commas commas(out_);
    if (Truthy(Get(schema, "description"))) {
      commas.Next();
      Description(schema, path);
    }
    const std::string type = Type(schema, path);
    if (const OrderedJson* values = Get(schema, "enum"); type == "STRING" && Truthy(values)) {
      commas.Next();
      out_.Markup("enum:");
      WriteValue(*values, KeyStyle::kQuoted, out_);
    }
    if (const OrderedJson* items = Get(schema, "items");
        type == "ARRAY" && Truthy(items) && items->is_object()) {
      commas.Next();
      out_.Markup("items:{");
      Items(*items, path + ".items");
      out_.Markup("}");
    }
    if (Truthy(Get(schema, "nullable"))) {
      commas.Next();
      out_.Markup("nullable:true");
    }
    if (type == "OBJECT") Object(schema, path, commas);
    commas.Next();
    out_.Markup("type:");
    out_.Quoted(type);
  }

  void Object(const OrderedJson& schema, const std::string& path, Commas& commas) {
    commas.Next();
    out_.Markup("properties:{");
    const OrderedJson* properties = Get(schema, "properties");
    const bool apart = properties != nullptr && properties->is_object();
    Properties(apart ? *properties : schema, apart ? path + ".properties" : path,
               /*skip_standard_keys=*/!apart);
    out_.Markup("}");
    if (const OrderedJson* required = Get(schema, "required"); Truthy(required)) {
      commas.Next();
      Required(*required, path);
    }
  }

  void Items(const OrderedJson& items, const std::string& path) {
    Commas commas(out_);
    for (const Member* member : SortedMembers(items)) {
      const auto& [key, value] = *member;
      if (value.is_null()) continue;
      commas.Next();
      if (key == "required") {
        Required(value, path);
        continue;
      }
      out_.Caller(key);
      out_.Markup(":");
      if (key == "properties") {
        out_.Markup("{");
        if (value.is_object()) Properties(value, path + ".properties", false);
        out_.Markup("}");
      } else if (key == "type") {
        WriteValue(UpperCaseTypes(value, path + ".type"), KeyStyle::kQuoted, out_);
      } else {
        WriteValue(value, KeyStyle::kQuoted, out_);
      }
    }
  }

  void Description(const OrderedJson& schema, const std::string& path) {
    const OrderedJson& description = *Get(schema, "description");
    if (!description.is_string()) return Fail(path + ".description", description, "a string");
    out_.Markup("description:");
    out_.Quoted(description.get_ref<const std::string&>());
  }

  void Required(const OrderedJson& names, const std::string& path) {
    if (!names.is_array()) return Fail(path + ".required", names, "a list of names");
    Commas commas(out_);
    out_.Markup("required:[");
    for (const OrderedJson& name : names) {
      if (!name.is_string()) return Fail(path + ".required", name, "a name");
      commas.Next();
      out_.Quoted(name.get_ref<const std::string&>());
    }
    out_.Markup("]");
  }

  // "STRING"; for several "['STRING', 'NULL']", as the template's language prints a list; "" if the
  // schema names none.
  std::string Type(const OrderedJson& schema, const std::string& path) {
    const OrderedJson* type = Get(schema, "type");
    if (type == nullptr) return "";
    const OrderedJson upper = UpperCaseTypes(*type, path + ".type");
    if (upper.is_string()) return upper.get<std::string>();
    std::vector<std::string> quoted;
    for (const OrderedJson& name : upper) {
      quoted.push_back(absl::StrCat("'", name.get_ref<const std::string&>(), "'"));
    }
    return absl::StrCat("[", absl::StrJoin(quoted, ", "), "]");
  }

  OrderedJson UpperCaseTypes(const OrderedJson& type, const std::string& path) {
    if (IsTypeName(type)) return UpperCase(type);
    if (type.is_null()) return "NONE";  // the upper case of what null is in the template's language
    OrderedJson upper = OrderedJson::array();
    if (type.is_array() && std::all_of(type.begin(), type.end(), IsTypeName)) {
      for (const OrderedJson& name : type) upper.push_back(UpperCase(name));
    } else {
      Fail(path, type, "a type's name or a list of them");
    }
    return upper;
  }

  PromptText& out_;
  absl::Status status_;  // the first problem
};

}  // namespace

absl::Status WriteDeclaration(const Tool& tool, absl::string_view path, PromptText& out) {
  return Writer(out).Declare(tool, std::string(path));
}

}  // namespace facet
