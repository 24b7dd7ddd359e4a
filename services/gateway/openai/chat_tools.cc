#include "services/gateway/openai/chat_tools.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "services/gateway/openai/openai_error.h"

namespace facet {
namespace {

absl::StatusOr<JsonFields> FunctionOf(const JsonFields& outer) {
  FACET_ASSIGN_OR_RETURN(const std::string type, outer.RequiredText("type"));
  if (type != "function") {
    return FieldError(outer.Path("type"), absl::StrCat("'", type, "' is not function"));
  }
  const Json* function = outer.Find("function");
  if (function == nullptr) return FieldError(outer.Path("function"), "is missing: an object");
  return JsonFields::Of(*function, outer.Path("function"));
}

absl::Status ReadTool(const JsonFields& tool, v1::Tool* out) {
  FACET_ASSIGN_OR_RETURN(const JsonFields function, FunctionOf(tool));
  FACET_RETURN_IF_ERROR(
      function.RefuseOthers({"name", "description", "parameters", "response", "strict"}));
  FACET_ASSIGN_OR_RETURN(std::string name, function.RequiredText("name"));
  out->set_name(std::move(name));
  FACET_ASSIGN_OR_RETURN(std::optional<std::string> description, function.Text("description"));
  out->set_description(std::move(description).value_or(""));
  FACET_ASSIGN_OR_RETURN(const std::optional<bool> strict, function.Bool("strict"));
  if (strict.has_value()) out->set_strict(*strict);
  for (const char* field : {"parameters", "response"}) {
    const Json* schema = function.Find(field);
    if (schema == nullptr) continue;
    if (!schema->is_object()) {
      return FieldError(function.Path(field), absl::StrCat(Shown(*schema), " is not an object"));
    }
    // An empty object is how clients say "no parameters".
    if (schema->empty()) continue;
    (std::string(field) == "parameters" ? out->mutable_parameters() : out->mutable_response())
        ->assign(Dump(*schema));
  }
  return absl::OkStatus();
}

absl::Status ReadNamedChoice(const JsonFields& request, const Json& value, v1::ChatRequest* out) {
  FACET_ASSIGN_OR_RETURN(const JsonFields choice,
                         JsonFields::Of(value, request.Path("tool_choice")));
  FACET_ASSIGN_OR_RETURN(const JsonFields function, FunctionOf(choice));
  FACET_ASSIGN_OR_RETURN(std::string name, function.RequiredText("name"));
  if (std::none_of(out->tools().begin(), out->tools().end(),
                   [&](const v1::Tool& tool) { return tool.name() == name; })) {
    return FieldError(function.Path("name"), absl::StrCat("'", name, "' is not one of the tools"));
  }
  out->mutable_tool_choice()->set_mode(v1::ToolChoice::NAMED);
  out->mutable_tool_choice()->set_name(std::move(name));
  return absl::OkStatus();
}

absl::Status ReadToolChoice(const JsonFields& request, v1::ChatRequest* out) {
  const Json* value = request.Find("tool_choice");
  if (value == nullptr) return absl::OkStatus();
  if (value->is_object()) return ReadNamedChoice(request, *value, out);
  v1::ToolChoice& choice = *out->mutable_tool_choice();
  if (*value == "auto") {
    choice.set_mode(v1::ToolChoice::AUTO);
  } else if (*value == "none") {
    choice.set_mode(v1::ToolChoice::NONE);
  } else if (*value == "required") {
    choice.set_mode(v1::ToolChoice::REQUIRED);
  } else {
    return FieldError(request.Path("tool_choice"),
                      absl::StrCat(Shown(*value), " is not auto, none, required or a function"));
  }
  if (*value == "required" && out->tools().empty()) {
    return FieldError(request.Path("tool_choice"), "'required' needs tools");
  }
  // Without tools nothing is to be chosen.
  if (out->tools().empty()) out->clear_tool_choice();
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadTools(const JsonFields& request, v1::ChatRequest* out) {
  FACET_ASSIGN_OR_RETURN(const Json* tools, request.Array("tools"));
  for (size_t i = 0; tools != nullptr && i < tools->size(); ++i) {
    FACET_ASSIGN_OR_RETURN(const JsonFields tool,
                           JsonFields::Of((*tools)[i], ElementPath(request.Path("tools"), i)));
    FACET_RETURN_IF_ERROR(ReadTool(tool, out->add_tools()));
  }
  FACET_ASSIGN_OR_RETURN(const std::optional<bool> parallel, request.Bool("parallel_tool_calls"));
  if (parallel.has_value()) out->set_parallel_tool_calls(*parallel);
  return ReadToolChoice(request, out);
}

}  // namespace facet
