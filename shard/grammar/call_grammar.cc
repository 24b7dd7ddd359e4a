#include "shard/grammar/call_grammar.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "shard/grammar/schema_grammar.h"

namespace facet {
namespace {

constexpr size_t kMaxTools = 128;

bool IsToolName(const std::string& name) {
  return !name.empty() && name.size() <= 256 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
         });
}

absl::StatusOr<SchemaGrammar> Arguments(const ToolSpec& tool, const CallTokens& tokens,
                                        size_t index) {
  const SchemaGrammarOptions options = {.syntax = ValueSyntax::kCall,
                                        .tokens = tokens,
                                        .prefix = absl::StrCat("t", index, "_"),
                                        .root_is_object = true,
                                        .widen = !tool.strict};
  if (tool.parameters.empty()) return AnyObjectGrammar(options);
  auto grammar = SchemaToGrammar(tool.parameters, options);
  if (!grammar.ok()) {
    return absl::Status(grammar.status().code(), absl::StrCat("parameters of tool ", tool.name,
                                                              ": ", grammar.status().message()));
  }
  return grammar;
}

}  // namespace

absl::StatusOr<std::string> ToolCallGrammar(const GrammarSpec& spec, const CallTokens& tokens,
                                            std::vector<std::string>* not_enforced) {
  using Choice = GrammarSpec::ToolChoice;
  // Control tokens are no text, so text alone cannot hold a call.
  std::string root = EbnfClass(Complement({})) + "*";
  if (spec.tool_choice == Choice::kNone) return absl::StrCat("root ::= ", root, "\n");
  if (tokens.call_begin < 0 || tokens.call_end < 0 || tokens.quote < 0) {
    return absl::FailedPreconditionError("the vocabulary has no tokens for tool calls");
  }
  if (spec.tools.empty() || spec.tools.size() > kMaxTools) {
    return absl::InvalidArgumentError(
        absl::StrCat(spec.tools.size(), " tools; from 1 to ", kMaxTools, " are accepted"));
  }
  std::string rules;
  std::vector<std::string> calls, names;
  for (size_t i = 0; i < spec.tools.size(); ++i) {
    const ToolSpec& tool = spec.tools[i];
    if (!IsToolName(tool.name)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "name of tool ", i, ": from 1 to 256 letters, digits, '_', '.' and '-' are accepted"));
    }
    if (std::find(names.begin(), names.end(), tool.name) != names.end()) {
      return absl::InvalidArgumentError(absl::StrCat("two tools are named ", tool.name));
    }
    names.push_back(tool.name);
    if (spec.tool_choice == Choice::kNamed && tool.name != spec.tool_name) continue;
    FACET_ASSIGN_OR_RETURN(const SchemaGrammar arguments, Arguments(tool, tokens, i));
    rules += arguments.rules;
    for (const std::string& note : arguments.not_enforced) {
      not_enforced->push_back(absl::StrCat(tool.name, ": ", note));
    }
    calls.push_back(
        absl::StrCat(EbnfLiteral(absl::StrCat("call:", tool.name)), " ", arguments.root));
  }
  if (calls.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("tool_choice names ", spec.tool_name, ", which is none of the tools"));
  }
  absl::StrAppend(&rules, "call ::= Token(", tokens.call_begin, ") (", absl::StrJoin(calls, " | "),
                  ") Token(", tokens.call_end, ")\n");
  const bool many = spec.parallel_tool_calls && spec.tool_choice != Choice::kNamed;
  if (spec.tool_choice == Choice::kAuto) {
    absl::StrAppend(&root, " call", many ? "*" : "?");
  } else {
    root = many ? "call+" : "call";
  }
  return absl::StrCat("root ::= ", root, "\n", rules);
}

}  // namespace facet
