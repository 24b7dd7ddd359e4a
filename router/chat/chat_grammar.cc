#include "router/chat/chat_grammar.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace facet {
namespace {

bool Declares(const v1::ChatRequest& request, const std::string& tool) {
  return std::any_of(request.tools().begin(), request.tools().end(),
                     [&tool](const v1::Tool& declared) { return declared.name() == tool; });
}

bool HasFormat(const v1::ChatRequest& request) {
  return request.response_format().format_case() != v1::ResponseFormat::FORMAT_NOT_SET;
}

absl::Status CheckFormat(const v1::ChatRequest& request, v1::ToolChoice::Mode mode) {
  const v1::ResponseFormat& format = request.response_format();
  if (format.format_case() == v1::ResponseFormat::kJson && !format.json()) {
    return absl::InvalidArgumentError("response_format.json is false; allowed: true, or unset");
  }
  if (mode == v1::ToolChoice::REQUIRED || mode == v1::ToolChoice::NAMED) {
    return absl::InvalidArgumentError(
        absl::StrCat("response_format is set and tool_choice.mode is ",
                     v1::ToolChoice::Mode_Name(mode), "; only one of them can be met"));
  }
  if (format.format_case() == v1::ResponseFormat::kEbnf && mode == v1::ToolChoice::AUTO) {
    return absl::InvalidArgumentError(
        "response_format.ebnf is set and tool_choice.mode is AUTO; beside tools allowed: json, "
        "json_schema, regex");
  }
  return absl::OkStatus();
}

void SetText(const v1::ResponseFormat& format, internal::Grammar* grammar) {
  switch (format.format_case()) {
    case v1::ResponseFormat::kJson:
      return grammar->set_json(true);
    case v1::ResponseFormat::kJsonSchema:
      return grammar->set_json_schema(format.json_schema());
    case v1::ResponseFormat::kRegex:
      return grammar->set_regex(format.regex());
    case v1::ResponseFormat::kEbnf:
      return grammar->set_ebnf(format.ebnf());
    case v1::ResponseFormat::FORMAT_NOT_SET:
      return;
  }
}

internal::ToolCalls::Choice ChoiceOf(v1::ToolChoice::Mode mode) {
  switch (mode) {
    case v1::ToolChoice::REQUIRED:
      return internal::ToolCalls::REQUIRED;
    case v1::ToolChoice::NAMED:
      return internal::ToolCalls::NAMED;
    case v1::ToolChoice::NONE:
      return internal::ToolCalls::NONE;
    default:
      return internal::ToolCalls::AUTO;
  }
}

void SetCalls(const v1::ChatRequest& request, v1::ToolChoice::Mode mode,
              internal::ToolCalls* calls) {
  calls->set_choice(ChoiceOf(mode));
  calls->set_name(request.tool_choice().name());
  calls->set_parallel(!request.has_parallel_tool_calls() || request.parallel_tool_calls());
  for (const v1::Tool& tool : request.tools()) {
    internal::ToolCalls::Tool* added = calls->add_tools();
    added->set_name(tool.name());
    added->set_parameters(tool.parameters());
    added->set_lenient(!tool.strict());
  }
}

}  // namespace

absl::StatusOr<v1::ToolChoice::Mode> ResolveToolChoice(const v1::ChatRequest& request) {
  const v1::ToolChoice& choice = request.tool_choice();
  const bool has_tools = request.tools_size() > 0;
  const std::string name = choice.name().substr(0, 64);  // no message grows with it
  if (!v1::ToolChoice::Mode_IsValid(choice.mode())) {
    return absl::InvalidArgumentError(
        absl::StrCat("tool_choice.mode is ", choice.mode(),
                     "; allowed: 0 (by the tools), 1 (AUTO), 2 (NONE), 3 (REQUIRED), 4 (NAMED)"));
  }
  if (choice.mode() != v1::ToolChoice::NAMED && !name.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("tool_choice.name is '", name, "'; it goes with mode NAMED only"));
  }
  if (choice.mode() == v1::ToolChoice::MODE_UNSPECIFIED) {
    return has_tools ? v1::ToolChoice::AUTO : v1::ToolChoice::NONE;
  }
  if (choice.mode() == v1::ToolChoice::REQUIRED && !has_tools) {
    return absl::InvalidArgumentError("tool_choice.mode is REQUIRED; tools is empty");
  }
  if (choice.mode() == v1::ToolChoice::NAMED && !Declares(request, choice.name())) {
    return absl::InvalidArgumentError(
        absl::StrCat("tool_choice.name is '", name, "'; none of the tools has that name"));
  }
  return choice.mode();
}

absl::StatusOr<std::optional<internal::Grammar>> MakeGrammar(const v1::ChatRequest& request,
                                                             v1::ToolChoice::Mode mode) {
  if (HasFormat(request)) FACET_RETURN_IF_ERROR(CheckFormat(request, mode));
  const bool has_calls = mode != v1::ToolChoice::NONE && request.tools_size() > 0;
  if (!HasFormat(request) && !has_calls) return std::nullopt;
  internal::Grammar grammar;
  SetText(request.response_format(), &grammar);
  if (has_calls) SetCalls(request, mode, grammar.mutable_tool_calls());
  return grammar;
}

}  // namespace facet
