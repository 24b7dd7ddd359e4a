#include "model/chat/values.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/chat/lower_case.h"
#include "model/chat/text_rules.h"

namespace facet {
namespace {

// The digits of a number; "" for what is none.
std::string NumberText(const OrderedJson& value) {
  if (value.is_number_unsigned()) return absl::StrCat(value.get<uint64_t>());
  if (value.is_number_integer()) return absl::StrCat(value.get<int64_t>());
  if (value.is_number_float()) return FormatDouble(value.get<double>());
  if (value.is_binary()) return {value.get_binary().begin(), value.get_binary().end()};
  return "";
}

}  // namespace

std::vector<const Member*> SortedMembers(const OrderedJson& object) {
  std::vector<std::pair<std::string, const Member*>> keyed;
  keyed.reserve(object.size());
  for (const Member& member : object.get_ref<const OrderedJson::object_t&>()) {
    keyed.emplace_back(LowerCase(member.first), &member);
  }
  // By bytes of UTF-8, which is by code points.
  std::stable_sort(keyed.begin(), keyed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<const Member*> members;
  members.reserve(keyed.size());
  for (const auto& [lower, member] : keyed) members.push_back(member);
  return members;
}

void WriteMembers(const OrderedJson& object, KeyStyle keys, PromptText& out) {
  Commas commas(out);
  for (const Member* member : SortedMembers(object)) {
    commas.Next();
    keys == KeyStyle::kQuoted ? out.Quoted(member->first) : out.Caller(member->first);
    out.Markup(":");
    WriteValue(member->second, keys, out);
  }
}

void WriteValue(const OrderedJson& value, KeyStyle keys, PromptText& out) {
  if (value.is_null()) {
    out.Markup("null");
  } else if (value.is_boolean()) {
    out.Markup(value.get<bool>() ? "true" : "false");
  } else if (value.is_string()) {
    out.Quoted(value.get_ref<const std::string&>());
  } else if (value.is_array()) {
    Commas commas(out);
    out.Markup("[");
    for (const OrderedJson& element : value) {
      commas.Next();
      WriteValue(element, keys, out);
    }
    out.Markup("]");
  } else if (value.is_object()) {
    out.Markup("{");
    WriteMembers(value, keys, out);
    out.Markup("}");
  } else {
    out.Caller(NumberText(value));
  }
}

}  // namespace facet
