#ifndef FACET_MODEL_ANSWER_TESTING_PARSED_ANSWER_H_
#define FACET_MODEL_ANSWER_TESTING_PARSED_ANSWER_H_

// Answers as tests write them, and what the parser makes of them.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/answer/answer_parser.h"
#include "model/answer/whole_answer.h"

namespace facet::testing {

// The small tokenizer of tests/golden/tokenizer, and its control tokens. Read once.
const Tokenizer& SmallTokenizer();
const ControlTokens& SmallControlTokens();

// The tokens of an answer in which `<|tool_call>` and the like are control tokens.
std::vector<int32_t> AnswerIds(absl::string_view text);
// The same with each character of plain text encoded by itself.
std::vector<int32_t> AnswerIdsByCharacter(absl::string_view text);
// Plain text: no control tokens, whatever it looks like.
std::vector<int32_t> PlainIds(absl::string_view text);

// Suffixes "0", "1" ..; everything else as given.
AnswerOptions WithCountedSuffixes(AnswerOptions options = {});

struct ParsedAnswer {
  std::vector<AnswerEvent> events;
  WholeAnswer whole;
  int reasoning_tokens = 0, content_tokens = 0, call_tokens = 0, completion_tokens = 0;
  int broken_calls = 0, unfinished_calls = 0, withdrawn_calls = 0;
  bool stopped_by_filter = false;
};

// All tokens at once, then Finish.
ParsedAnswer ParseAnswer(absl::Span<const int32_t> ids,
                         AnswerParser::End end = AnswerParser::End::kStop,
                         AnswerOptions options = {});
// The tokens in chunks of these sizes (the last takes the rest), each with a vector of its own for
// the events, as a stream sends them.
ParsedAnswer ParseAnswerInChunks(absl::Span<const int32_t> ids, absl::Span<const size_t> chunks,
                                 AnswerParser::End end = AnswerParser::End::kStop,
                                 AnswerOptions options = {});

}  // namespace facet::testing

#endif  // FACET_MODEL_ANSWER_TESTING_PARSED_ANSWER_H_
