#ifndef FACET_SHARD_GRAMMAR_GRAMMAR_SPEC_H_
#define FACET_SHARD_GRAMMAR_GRAMMAR_SPEC_H_

// What the text of an answer must look like. Plain data; docs/structured-output.md explains it.

#include <string>
#include <vector>

namespace facet {

// A function that the model may call.
struct ToolSpec {
  std::string name = {};        // [A-Za-z0-9_.-]+, at most 256 bytes
  std::string parameters = {};  // a JSON schema of type object; empty: any object
  bool strict = true;           // false: what of the schema cannot be enforced is left out
};

struct GrammarSpec {
  enum class Kind {
    kJsonObject,  // any JSON object; `text` is empty
    kJsonSchema,  // `text`: a JSON schema, Draft 2020-12
    kRegex,       // `text`: a regular expression that the whole answer matches
    kEbnf,        // `text`: rules in EBNF; the first is `root`
    kToolCalls,   // `tools` and `tool_choice`; `text` is empty
  };
  enum class ToolChoice {
    kAuto,      // text, then any number of calls
    kNone,      // text only: the call syntax is closed off
    kRequired,  // at least one call, nothing else
    kNamed,     // exactly one call, of `tool_name`
  };

  Kind kind = Kind::kJsonObject;
  std::string text = {};
  std::vector<ToolSpec> tools = {};
  ToolChoice tool_choice = ToolChoice::kAuto;
  std::string tool_name = {};
  // Several calls in one answer (kAuto, kRequired); false: at most one.
  bool parallel_tool_calls = true;
};

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_GRAMMAR_SPEC_H_
