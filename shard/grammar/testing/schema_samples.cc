// schema_samples FILE: reads one JSON schema a line and prints for each a line of JSON: either
// {"refused": message}, after a tool with the schema that is not strict was called, or {"json":
// [..], "call": [..] or message} with what a model of bad habits wrote through the schema's masks,
// or {"failed": message}.

#include <fstream>
#include <iostream>
#include <random>
#include <string>

#include "nlohmann/json.hpp"
#include "shard/grammar/grammar_compiler.h"
#include "shard/grammar/testing/sampling_model.h"

namespace facet {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxTokens = 4000;

// The answers, or the message of what went wrong in "failed".
void AddAnswers(const std::shared_ptr<const CompiledGrammar>& grammar, const char* key,
                std::mt19937& rng, Json* row) {
  (*row)[key] = Json::array();
  for (const testing::Habit habit : testing::kHabits) {
    for (int repeat = 0; repeat < (habit == testing::Habit::kRandom ? 3 : 1); ++repeat) {
      // JSON has line breaks outside strings only, so even who never tires of them must end.
      const bool tires = habit != testing::Habit::kLineBreaks || std::string(key) == "call";
      const auto answer = testing::Write(grammar, habit, tires, kMaxTokens, rng);
      if (!answer.ok()) {
        (*row)["failed"] = std::string(answer.status().message());
      } else if (!answer->ended) {
        (*row)["failed"] = "no end: " + answer->text.substr(0, 200);
      } else {
        (*row)[key].push_back(answer->text);
      }
    }
  }
}

int Main(const char* path) {
  auto compiler = GrammarCompiler::Create(testing::SmallVocabulary(), {});
  if (!compiler.ok()) {
    std::cerr << compiler.status() << "\n";
    return 1;
  }
  std::ifstream file(path);
  std::mt19937 rng(20);
  std::string line;
  while (std::getline(file, line)) {
    Json row;
    const auto json = (*compiler)->Compile({.kind = GrammarSpec::Kind::kJsonSchema, .text = line});
    if (!json.ok()) {
      row["refused"] = std::string(json.status().message());
      // Calls of a tool that is not strict go on without what cannot be enforced.
      const auto call =
          (*compiler)->Compile({.kind = GrammarSpec::Kind::kToolCalls,
                                .tools = {{.name = "f", .parameters = line, .strict = false}},
                                .tool_choice = GrammarSpec::ToolChoice::kNamed,
                                .tool_name = "f"});
      Json tolerant;
      if (call.ok()) {
        AddAnswers(*call, "call", rng, &tolerant);
        if ((*call)->not_enforced().empty()) tolerant["failed"] = "refused, but all is enforced";
      } else {
        tolerant["failed"] = std::string(call.status().message());
      }
      if (tolerant.contains("failed")) row["failed"] = tolerant["failed"];
    } else {
      AddAnswers(*json, "json", rng, &row);
      const auto call = (*compiler)->Compile({.kind = GrammarSpec::Kind::kToolCalls,
                                              .tools = {{"f", line}},
                                              .tool_choice = GrammarSpec::ToolChoice::kNamed,
                                              .tool_name = "f"});
      if (call.ok()) AddAnswers(*call, "call", rng, &row);
    }
    std::cout << row.dump(-1, ' ', true, Json::error_handler_t::replace) << "\n";
  }
  return 0;
}

}  // namespace
}  // namespace facet

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  return facet::Main(argv[1]);
}
