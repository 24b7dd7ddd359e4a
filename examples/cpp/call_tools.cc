// Lets the model call functions about what it sees: call_tools landmark.png
//
// The model looks at the image, asks for the weather where it was taken, gets it, and answers. The
// weather is made up.

#include <numeric>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "examples/cpp/facet_client.h"
#include "nlohmann/json.hpp"

ABSL_FLAG(bool, require_call, false, "The first answer must be a call.");

namespace facet::examples {

using Json = nlohmann::ordered_json;

constexpr int kMostRounds = 4;

v1::Tool WeatherTool() {
  v1::Tool tool;
  tool.set_name("get_weather");
  tool.set_description("The weather in a city, now.");
  tool.set_parameters(R"({"type": "object", "required": ["city", "unit"], "properties": {
      "city": {"type": "string", "description": "The city's name", "maxLength": 30},
      "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}})");
  return tool;
}

// What the model wrote is not trusted: an error is an answer too.
Json CallFunction(const v1::ToolCall& call) {
  const Json arguments = Json::parse(call.arguments(), nullptr, /*allow_exceptions=*/false);
  if (call.name() != "get_weather" || !arguments.is_object()) return {{"error", "no such call"}};
  if (!arguments.contains("city") || !arguments["city"].is_string()) return {{"error", "no city"}};
  const std::string city = arguments["city"];
  const int celsius = std::accumulate(city.begin(), city.end(), 0,
                                      [](int sum, unsigned char c) { return sum + c; }) %
                      30;
  const bool is_fahrenheit = arguments.value("unit", Json()) == "fahrenheit";
  return {{"city", city},
          {"degrees", is_fahrenheit ? celsius * 9 / 5 + 32 : celsius},
          {"unit", is_fahrenheit ? "fahrenheit" : "celsius"},
          {"sky", "clear"}};
}

// The answer's calls, and what came of them.
void AddRound(const Answer& answer, v1::ChatRequest* request) {
  v1::ChatMessage& asked = *request->add_messages();
  asked.set_role(v1::ChatMessage::ASSISTANT);
  asked.set_reasoning(answer.reasoning);
  if (!answer.content.empty()) *asked.add_content() = Text(answer.content);
  for (const v1::ToolCall& call : answer.calls) *asked.add_tool_calls() = call;
  for (const v1::ToolCall& call : answer.calls) {
    v1::ChatMessage& message = *request->add_messages();
    message.set_role(v1::ChatMessage::TOOL);
    message.set_tool_call_id(call.id());
    message.set_name(call.name());
    const std::string result =
        CallFunction(call).dump(-1, ' ', false, Json::error_handler_t::replace);
    message.add_content()->set_json(result);
    Show(absl::StrCat(call.name(), "(", call.arguments(), ") -> ", result, "\n"));
  }
}

absl::Status CallTools(FacetClient& client, const std::vector<std::string>& words) {
  FACET_ASSIGN_OR_RETURN(const v1::ContentPart image, Image(words[0]));
  v1::ChatRequest request = Question(
      {image,
       Text(words.size() > 1 ? words[1] : "Which city is this? What is the weather there now?")});
  *request.add_tools() = WeatherTool();
  request.set_parallel_tool_calls(false);
  if (absl::GetFlag(FLAGS_require_call)) {
    request.mutable_tool_choice()->set_mode(v1::ToolChoice::REQUIRED);
  }
  for (int round = 1; round <= kMostRounds; ++round) {
    if (round == kMostRounds) {
      request.mutable_tool_choice()->set_mode(v1::ToolChoice::NONE);  // enough: answer now
    }
    FACET_ASSIGN_OR_RETURN(const Answer answer, client.Chat(request, Show));
    if (answer.calls.empty()) break;
    AddRound(answer, &request);
    request.mutable_tool_choice()->set_mode(v1::ToolChoice::AUTO);
  }
  Show("\n");
  return absl::OkStatus();
}

}  // namespace facet::examples

int main(int argc, char** argv) {
  return facet::examples::RunExample(argc, argv, "call_tools IMAGE [QUESTION]", 1, 2,
                                     facet::examples::CallTools);
}
