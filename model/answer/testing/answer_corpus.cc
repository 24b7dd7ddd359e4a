#include "model/answer/testing/answer_corpus.h"

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace facet::testing {
namespace {

// Every kind of beginning, call and ending; the corpus is made of their combinations.
const char* const kThoughts[] = {
    "",
    "<|channel>thought\nLet me see.\nYes.<channel|>",
    "<|channel>thought\n<channel|>",
    "<|channel>analysis\nother name<channel|>",
    "<|channel>thought<channel|>",
    "<|channel>thought\nfirst<channel|> and <|channel>thought\nsecond<channel|>",
    "<|channel>a header without a newline that is far too long to be the name of a "
    "channel<channel|>",
    "<channel|>",
    "<|channel><|channel>thought\n  spaced \n",
};
const char* const kCalls[] = {
    // Sound.
    "<|tool_call>call:a{}<tool_call|>",
    "<|tool_call>call:get{city:<|\"|>Oslo<|\"|>,unit:celsius}<tool_call|>",
    "<|tool_call>call:set{n:<|\"|>42<|\"|>,s:42,b:True,tags:[bug,ui],kind:A,x:null}<tool_call|>",
    "<|tool_call>call:f{a:<|\"|>x, {y}<|\"|>,b:1.50,c:true,d:null,e:[1,<|\"|>q<|\"|>],"
    "f:{g_h:false}}<tool_call|>",
    "<|tool_call>call:todo{items:[{content:<|\"|>Demo<|\"|>,priority:<|\"|>medium<|\"|>}]}"
    "<tool_call|>",
    "<|tool_call>call:w{text:<|\"|>line\n\t\"quoted\" \\ \U0001F469\u200D\U0001F4BB<|\"|>}"
    "<tool_call|>",
    "<|tool_call>f{ a : 1 , b : [ ] , c : { } , }<tool_call|>",
    "<|tool_call>:my-tool.v2{<|\"|>k k<|\"|>:\"as \\\"JSON\\\"\",\"q\":1}<tool_call|>",
    "<|tool_call>call:a{}<tool_call|><|tool_call>call:b{x:1}<tool_call|>",
    "<|tool_call>call:a{x:[[[[1],2],3],4]}<tool_call|> between <|tool_call>call:c{y:-1.5e3}"
    "<tool_call|>",
    "<|tool_call>call:t{at:12:30,url:http://x/y?z=1}<tool_call|>",
    // Malformed.
    "<|tool_call>call:a{<tool_call|>",
    "<|tool_call>call:a{x:1<tool_call|>",
    "<|tool_call>call:a{x:[1,2}<tool_call|>",
    "<|tool_call>call:a{x:1}}<tool_call|>",
    "<|tool_call>call:a{x:1} and more<tool_call|>",
    "<|tool_call>call:a{x:<|\"|>open<tool_call|>",
    "<|tool_call>call:a{x:<|\"|>p<|\"|>q}<tool_call|>",
    "<|tool_call>call:a{x:1,x:2}<tool_call|>",
    "<|tool_call>call:a{x:}<tool_call|>",
    "<|tool_call>call:a{:1}<tool_call|>",
    "<|tool_call>call:a{,}<tool_call|>",
    "<|tool_call>call:{x:1}<tool_call|>",
    "<|tool_call>call:no spaces here{}<tool_call|>",
    "<|tool_call>just words<tool_call|>",
    "<|tool_call><tool_call|>",
    "<|tool_call>call:a{x:1<|tool_call>call:b{y:2}<tool_call|>",
    "<|tool_call>call:a{x:<|\"|>s<|tool_call>call:b{}<tool_call|>",
    "<|tool_call>{\"name\":\"a\",\"arguments\":{}}<tool_call|>",
    "<|tool_call>call:a[1]<tool_call|>",
    "<|tool_call>call:a{x:\"never closed}<tool_call|>",
    "<tool_call|><|\"|>",
};
const char* const kEnds[] = {
    "<turn|>",
    "<|tool_response>",
    "",
    " The answer. \n<turn|>",
    "  half <|tool_call>call:z{k:<|\"|>unfi",
    "<|channel>thou",
    " tail <|image|><bos><turn|> behind the end",
    "\n\n<eos>",
};

std::vector<std::string> MakeCorpus() {
  std::vector<std::string> answers = {
      "Hello there.<turn|>",
      "",
      "  before <|tool_call>call:a{}<tool_call|> after <turn|>",
      "<|channel>thought\nt<|tool_call>call:a{}<tool_call|><|tool_response>",
      "<|tool_call>call:a{}<tool_call|><eos>",
      "<|channel>thought\nunfinished",
      "plain text with <b>tags</b>, {braces}, \"quotes\" and \u00A0wide\u3000spaces \u2003",
  };
  for (const char* call : kCalls) {
    for (const char* end : kEnds) answers.push_back(absl::StrCat(call, end));
  }
  for (const char* thought : kThoughts) {
    for (const char* end : kEnds) answers.push_back(absl::StrCat(thought, end));
    answers.push_back(absl::StrCat(thought, "ok ", kCalls[1], kCalls[2], "<|tool_response>"));
    answers.push_back(absl::StrCat(thought, kCalls[11], " words ", kCalls[3], "<turn|>"));
  }
  return answers;
}

}  // namespace

const std::vector<std::string>& AnswerCorpus() {
  static const auto* const corpus = new std::vector<std::string>(MakeCorpus());
  return *corpus;
}

AnswerOptions WithCorpusSchemas() {
  static const auto* const set = new ArgumentSchema::Json(ArgumentSchema::Json::parse(R"({
    "type": "object",
    "properties": {
      "n": {"type": "integer"}, "s": {"type": "string"}, "b": {"type": "boolean"},
      "tags": {"type": "array", "items": {"type": "string"}},
      "kind": {"enum": ["A", "B"]}, "x": {"type": "STRING", "nullable": true}}})"));
  static const auto* const get = new ArgumentSchema::Json(ArgumentSchema::Json::parse(R"({
    "properties": {"city": {"anyOf": [{"type": "number"}, {"type": "null"}]},
                   "unit": {"$ref": "#/$defs/unit"}},
    "$defs": {"unit": {"type": "string"}}})"));
  AnswerOptions options;
  options.find_parameters = [](absl::string_view tool) {
    return tool == "set" ? set : tool == "get" ? get : nullptr;
  };
  return options;
}

}  // namespace facet::testing
