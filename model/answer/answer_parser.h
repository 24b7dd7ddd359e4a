#ifndef FACET_MODEL_ANSWER_ANSWER_PARSER_H_
#define FACET_MODEL_ANSWER_ANSWER_PARSER_H_

// Gemma 4's answers, taken apart while they are written: thought, content and tool calls.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "model/answer/answer_event.h"
#include "model/answer/argument_schema.h"
#include "model/answer/call_parser.h"
#include "model/answer/control_tokens.h"
#include "model/answer/trimmed_text.h"
#include "model/tokenizer/incremental_decoder.h"
#include "model/tokenizer/tokenizer.h"

namespace facet {

// Looks at the content before anyone sees it, untrimmed and in order: how stop strings are matched
// against the content alone. Thoughts and calls do not pass through it; the text of a broken call
// does, since it is content.
class ContentFilter {
 public:
  virtual ~ContentFilter() = default;
  // Appends to *released what may go out of the content so far. True: the answer ends here.
  virtual bool Push(absl::string_view content, std::string* released) = 0;
  // The content has ended: releases what was held back. Called once, unless Push was true.
  virtual void Finish(std::string* released) = 0;
};

struct AnswerOptions {
  // Where the prompt ends: in an open thought (`..<|channel>thought\n`), or in the content.
  bool starts_in_reasoning = false;
  // Unique suffix for the id of a call: "call_" is put before it. Required.
  std::function<std::string()> call_suffix;
  // The schema of the arguments of a declared tool, nullptr where there is none. It must outlive
  // the parser. Empty: no schemas.
  std::function<const ArgumentSchema::Json*(absl::string_view tool)> find_parameters;
  // Calls are given as they are written, or each at once when it is whole: then none is ever
  // withdrawn, and their indexes have no gaps.
  bool streams_calls = true;
  ContentFilter* content_filter = nullptr;  // borrowed; null: all content goes out
};

// Parses one answer, from token ids.
//
// The events add up (AddUp) to the same answer however the tokens are cut into calls of Push: each
// token is taken by itself. Structure is made by control tokens alone, never by text that looks
// like them, and no output ever holds the text of a control token.
//
//   state      token                        then
//   CONTENT    <|channel>                   HEADER: the name of the channel, up to the first
//   newline HEADER     newline                      REASONING, whatever the name; the name is
//   dropped
//              <channel|>, the end          CONTENT, the end; nothing was said
//   REASONING  <channel|>                   CONTENT
//   any        <|tool_call>                 CALL; an open thought ends, an open call is broken
//   CALL       <tool_call|>                 the call is given or broken; CONTENT
//   any        <turn|> <|tool_response> <eos>   the end; later tokens are not looked at
//   others     other control tokens         nothing; a broken call ends with <|channel> too
//
// A name of more than kMaxChannelNameBytes is no name: it is the beginning of the thought.
// Thoughts are joined to one text, contents to another; each is trimmed as a whole.
//
// Broken calls (grammar: call_parser.h). One rule, streamed or not: a call counts when its
// kCallEnd comes, and that comes only for a call that is sound and closed by <tool_call|>. A call
// that breaks is counted in broken_calls(), its text goes out as content (with ASCII quotes for the
// string delimiters and without the markers), and so does what follows, up to <tool_call|>. Where
// kCallBegin has gone out already, kCallWithdrawn says that the call does not count; its JSON stays
// without its end, so that it cannot be taken for a call. A call that is cut off by the limit of
// tokens is counted in unfinished_calls(), and withdrawn without a trace in the content.
//
// Thread-compatible. Never fails, whatever the tokens are. Memory: the longest call (at most
// CallParser::kMaxCallBytes) and the white space that may turn out to be trailing.
class AnswerParser {
 public:
  static constexpr size_t kMaxChannelNameBytes = 64;

  enum class End {
    kStop,          // an end token, or a stop token of the caller
    kStopSequence,  // the content filter, or another stop string
    kLength,        // the limit of tokens, the context, or a cancelled answer
  };

  // `tokenizer` and `control_tokens` (of this tokenizer) must outlive the parser.
  AnswerParser(const Tokenizer* tokenizer, const ControlTokens* control_tokens,
               AnswerOptions options);
  AnswerParser(const AnswerParser&) = delete;
  AnswerParser& operator=(const AnswerParser&) = delete;

  // Takes the next token and appends what became certain to *events; text that continues the last
  // event there is added to it. Returns ended().
  bool Push(int32_t id, std::vector<AnswerEvent>* events);

  // No more tokens come: appends what was held back (an incomplete code point becomes U+FFFD).
  // Once, at the end. `end` matters only where the answer had not ended.
  void Finish(End end, std::vector<AnswerEvent>* events);

  // An end token came, or the content filter said so: later tokens are neither counted nor read.
  bool ended() const { return end_.has_value(); }
  bool stopped_by_filter() const { return end_ == End::kStopSequence; }

  // For usage. Every token is counted once, where it was written: a thought from <|channel> (if
  // the model wrote it) to <channel|>, a call from <|tool_call> to <tool_call|>, content all else,
  // the end token too. Their sum is completion_tokens().
  int reasoning_tokens() const { return reasoning_tokens_; }
  int content_tokens() const { return content_tokens_; }
  int call_tokens() const { return call_tokens_; }
  int completion_tokens() const { return reasoning_tokens_ + content_tokens_ + call_tokens_; }

  // Whether the next token belongs to a thought. With reasoning_tokens() this tells when a budget
  // of thought is used up: whoever samples then has to write <channel|>.
  bool in_reasoning() const { return state_ == State::kHeader || state_ == State::kReasoning; }
  bool in_call() const { return state_ == State::kCall || state_ == State::kBrokenCall; }

  // Calls that were given whole. An answer that ended with kStop ends for TOOL_CALL if this is > 0,
  // and never if it is 0.
  int calls() const { return calls_; }
  int broken_calls() const { return broken_calls_; }
  int unfinished_calls() const { return unfinished_calls_; }

 private:
  enum class State { kContent, kHeader, kReasoning, kCall, kBrokenCall };
  using Events = std::vector<AnswerEvent>;

  void Count(ControlToken kind);
  void PushControl(ControlToken kind, Events* events);
  void PushText(absl::string_view text, Events* events);
  void PushHeader(absl::string_view text, Events* events);
  void AddReasoning(absl::string_view text, Events* events);
  void AddContent(absl::string_view text, Events* events);
  void AddTrimmedContent(absl::string_view text, Events* events);

  void BeginCall(Events* events);
  // Gives what the call parser has, and notices that the call is broken.
  void ContinueCall(Events* events);
  void CloseCall(Events* events);
  void BreakCall(Events* events);
  void WithdrawCall(Events* events);
  void GiveCallBegin(Events* events);
  ArgumentSchema FindSchema(absl::string_view tool) const;
  // The end: what is open is closed.
  void EndAnswer(End end, Events* events);

  const ControlTokens* const control_tokens_;
  const AnswerOptions options_;
  IncrementalDecoder decoder_;
  State state_;
  std::optional<End> end_;
  std::string text_;    // of the token at hand; kept for its memory
  std::string header_;  // the channel's name so far
  TrimmedText reasoning_, content_;

  std::optional<CallParser> call_;
  bool call_begun_ = false;  // its kCallBegin has gone out
  std::string call_json_;    // of a call that is given at once
  int next_call_index_ = 0;

  int reasoning_tokens_ = 0, content_tokens_ = 0, call_tokens_ = 0;
  int calls_ = 0, broken_calls_ = 0, unfinished_calls_ = 0;
};

}  // namespace facet

#endif  // FACET_MODEL_ANSWER_ANSWER_PARSER_H_
