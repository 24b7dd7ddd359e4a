#include "tests/fuzz/answer_fuzz.h"

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"
#include "base/log.h"
#include "model/answer/testing/answer_corpus.h"
#include "model/answer/testing/parsed_answer.h"
#include "nlohmann/json.hpp"

namespace facet {
namespace {

using testing::ParsedAnswer;
using End = AnswerParser::End;
using Kind = AnswerEvent::Kind;

int TokensUpToTheEnd(absl::Span<const int32_t> ids) {
  int tokens = 0;
  for (const int32_t id : ids) {
    ++tokens;
    if (testing::SmallControlTokens().KindOf(id) == ControlToken::kEnd) break;
  }
  return tokens;
}

void CheckTrimmed(absl::string_view text) {
  FACET_CHECK(text == absl::StripAsciiWhitespace(text)) << "white space at an end";
}

void CheckCalls(const ParsedAnswer& answer) {
  for (const WholeAnswer::Call& call : answer.whole.calls) {
    FACET_CHECK(!call.name.empty()) << "a call without a name";
    FACET_CHECK(nlohmann::json::parse(call.arguments, nullptr, false).is_object())
        << call.arguments;
  }
  std::string json;
  for (const AnswerEvent& event : answer.events) {
    if (event.kind == Kind::kCallBegin) json.clear();
    if (event.kind == Kind::kCallArguments) json += event.text;
    if (event.kind != Kind::kCallWithdrawn) continue;
    FACET_CHECK(nlohmann::json::parse(json, nullptr, false).is_discarded()) << json;
  }
}

void CheckSame(const WholeAnswer& a, const WholeAnswer& b) {
  FACET_CHECK(a.reasoning == b.reasoning) << a.reasoning << " / " << b.reasoning;
  FACET_CHECK(a.content == b.content) << a.content << " / " << b.content;
  FACET_CHECK(a.calls.size() == b.calls.size());
  for (size_t i = 0; i < a.calls.size(); ++i) {
    FACET_CHECK(a.calls[i].name == b.calls[i].name);
    FACET_CHECK(a.calls[i].arguments == b.calls[i].arguments);
  }
}

}  // namespace

void FuzzAnswer(const uint8_t* data, size_t size) {
  if (size == 0) return;
  const uint8_t first = data[0];
  std::vector<int32_t> ids;
  std::vector<size_t> chunks;
  // A little beyond the vocabulary, so that ids outside are met too.
  const int range = testing::SmallTokenizer().vocab_size() + 8;
  for (size_t i = 1; i + 1 < size; i += 2) {
    ids.push_back((data[i] | data[i + 1] << 8) % range);
    chunks.push_back(data[i] % 5u);
  }
  const End end = first & 1 ? End::kLength : End::kStop;
  AnswerOptions options = first & 2 ? testing::WithCorpusSchemas() : AnswerOptions();
  options.starts_in_reasoning = (first & 4) != 0;

  const ParsedAnswer whole = testing::ParseAnswer(ids, end, options);
  FACET_CHECK(whole.completion_tokens == TokensUpToTheEnd(ids));
  CheckTrimmed(whole.whole.reasoning);
  CheckTrimmed(whole.whole.content);
  CheckCalls(whole);
  CheckSame(whole.whole, testing::ParseAnswerInChunks(ids, chunks, end, options).whole);
  options.streams_calls = false;
  const ParsedAnswer at_once = testing::ParseAnswer(ids, end, options);
  FACET_CHECK(at_once.withdrawn_calls == 0);
  CheckSame(whole.whole, at_once.whole);
}

std::string AnswerFuzzInput(uint8_t first, absl::Span<const int32_t> ids) {
  std::string input(1, static_cast<char>(first));
  for (const int32_t id : ids) {
    input.push_back(static_cast<char>(id & 0xFF));
    input.push_back(static_cast<char>(id >> 8));
  }
  return input;
}

}  // namespace facet
