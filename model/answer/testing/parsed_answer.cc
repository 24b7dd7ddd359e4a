#include "model/answer/testing/parsed_answer.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace facet::testing {
namespace {

std::vector<int32_t> Encode(absl::string_view text, bool parse_special) {
  auto ids = SmallTokenizer().Encode(text, {.parse_special = parse_special});
  FACET_CHECK(ids.ok()) << ids.status();
  return *std::move(ids);
}

void Record(const AnswerParser& parser, ParsedAnswer* parsed) {
  parsed->whole = AddUp(parsed->events);
  parsed->reasoning_tokens = parser.reasoning_tokens();
  parsed->content_tokens = parser.content_tokens();
  parsed->call_tokens = parser.call_tokens();
  parsed->completion_tokens = parser.completion_tokens();
  parsed->broken_calls = parser.broken_calls();
  parsed->unfinished_calls = parser.unfinished_calls();
  parsed->stopped_by_filter = parser.stopped_by_filter();
  for (const AnswerEvent& event : parsed->events) {
    if (event.kind == AnswerEvent::Kind::kCallWithdrawn) ++parsed->withdrawn_calls;
  }
  FACET_CHECK(parser.calls() == static_cast<int>(parsed->whole.calls.size()));
}

}  // namespace

const Tokenizer& SmallTokenizer() {
  static const Tokenizer* const tokenizer = [] {
    auto loaded = Tokenizer::Load("tests/golden/tokenizer/small/tokenizer.json");
    FACET_CHECK(loaded.ok()) << loaded.status();
    return loaded->release();
  }();
  return *tokenizer;
}

const ControlTokens& SmallControlTokens() {
  static const ControlTokens* const tokens = new ControlTokens(SmallTokenizer());
  return *tokens;
}

std::vector<int32_t> AnswerIds(absl::string_view text) { return Encode(text, true); }
std::vector<int32_t> PlainIds(absl::string_view text) { return Encode(text, false); }

std::vector<int32_t> AnswerIdsByCharacter(absl::string_view text) {
  std::vector<int32_t> ids;
  for (const int32_t id : AnswerIds(text)) {
    if (SmallTokenizer().IsSpecial(id) || SmallTokenizer().IsByte(id, nullptr)) {
      ids.push_back(id);
      continue;
    }
    const absl::string_view piece = SmallTokenizer().IdToText(id);
    for (size_t i = 0; i < piece.size();) {
      size_t end = i + 1;
      while (end < piece.size() && (piece[end] & 0xC0) == 0x80) ++end;
      for (const int32_t part : PlainIds(piece.substr(i, end - i))) ids.push_back(part);
      i = end;
    }
  }
  return ids;
}

AnswerOptions WithCountedSuffixes(AnswerOptions options) {
  options.call_suffix = [next = 0]() mutable { return absl::StrCat(next++); };
  return options;
}

ParsedAnswer ParseAnswer(absl::Span<const int32_t> ids, AnswerParser::End end,
                         AnswerOptions options) {
  AnswerParser parser(&SmallTokenizer(), &SmallControlTokens(),
                      WithCountedSuffixes(std::move(options)));
  ParsedAnswer parsed;
  for (const int32_t id : ids) parser.Push(id, &parsed.events);
  parser.Finish(end, &parsed.events);
  Record(parser, &parsed);
  return parsed;
}

ParsedAnswer ParseAnswerInChunks(absl::Span<const int32_t> ids, absl::Span<const size_t> chunks,
                                 AnswerParser::End end, AnswerOptions options) {
  AnswerParser parser(&SmallTokenizer(), &SmallControlTokens(),
                      WithCountedSuffixes(std::move(options)));
  ParsedAnswer parsed;
  for (size_t chunk = 0, at = 0;; ++chunk) {
    const bool last = chunk >= chunks.size();
    const size_t stop = last ? ids.size() : std::min(ids.size(), at + chunks[chunk]);
    std::vector<AnswerEvent> delta;
    for (; at < stop; ++at) parser.Push(ids[at], &delta);
    if (last) parser.Finish(end, &delta);
    for (AnswerEvent& event : delta) parsed.events.push_back(std::move(event));
    if (last) break;
  }
  Record(parser, &parsed);
  return parsed;
}

}  // namespace facet::testing
