#include "services/gateway/openai/router_fields.h"

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "re2/re2.h"

namespace facet {
namespace {

// Where a path of the router may begin, besides `sampling` and `stopping`, which a client of
// OpenAI's API does not write.
bool IsField(const std::string& name) {
  static const auto& names = *new std::set<std::string>{
      "model",    "messages", "tools",    "tool_choice", "response_format",
      "logprobs", "n",        "priority", "cache_salt",  "max_reasoning_tokens"};
  return names.count(name) > 0;
}

// Of messages and tools the router's path goes on almost as that of OpenAI does.
std::string Below(const std::string& first, const std::string& index, std::string rest) {
  if (first == "messages") {
    // A part's own fields differ by its type, which the message of the router does not have.
    RE2::Replace(&rest, R"(^(\.content\[\d+\])\..*)", R"(\1)");
    RE2::Replace(&rest, R"((\.tool_calls\[\d+\])\.(name|arguments))", R"(\1.function.\2)");
    return absl::StrCat(first, index, rest);
  }
  if (first == "tools" && !index.empty()) {
    return absl::StrCat(first, index, rest.empty() ? "" : ".function", rest);
  }
  return absl::StrCat(first, index);
}

}  // namespace

std::string OpenaiFieldOf(absl::string_view router_message, const std::string& prompt_field) {
  const re2::StringPiece message(router_message.data(), router_message.size());
  if (RE2::PartialMatch(message, R"(^/\S*: )")) return "response_format.json_schema.schema";
  if (absl::StartsWith(router_message, "parameters of tool ")) return "tools";
  static const auto& path = *new RE2(
      R"(^(?:(sampling|stopping)\.)?([a-z_]+)((?:\[\d+\])?)((?:\.[a-z_]+(?:\[\d+\])?)*)(?::| is | has | are | and ))");
  std::string group, first, index, rest;
  if (!RE2::PartialMatch(message, path, &group, &first, &index, &rest)) return "";
  if (first == "prompt") return prompt_field;
  if (!group.empty()) return absl::StrCat(first, index);
  return IsField(first) ? Below(first, index, rest) : "";
}

}  // namespace facet
