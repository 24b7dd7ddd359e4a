#include "model/answer/call_parser.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"
#include "model/answer/argument_value.h"
#include "model/answer/json_text.h"

namespace facet {
namespace {

bool IsSpace(char c) { return absl::ascii_isspace(static_cast<unsigned char>(c)); }
bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
}

}  // namespace

void CallParser::PushText(absl::string_view text) {
  if (!AddRaw(text)) return;
  while (!text.empty() && !broken()) Step(&text);
}

void CallParser::PushQuote() {
  if (!AddRaw("\"")) return;
  switch (state_) {
    case State::kKey:
      held_.clear();
      state_ = State::kQuotedKey;
      break;
    case State::kQuotedKey:
      EndKey(std::exchange(held_, {}));
      if (!broken()) state_ = State::kColon;
      break;
    case State::kValue:
      BeginValue();
      if (StaysString(value_types_)) {
        json_.push_back('"');
        state_ = State::kString;
      } else {
        held_.clear();
        state_ = State::kShortString;
      }
      break;
    case State::kString:
      json_.push_back('"');
      state_ = State::kBehindValue;
      break;
    case State::kShortString:
      json_ += QuotedValue(held_, value_types_);
      state_ = State::kBehindValue;
      break;
    default:
      Break();
  }
}

void CallParser::Step(absl::string_view* text) {
  switch (state_) {
    case State::kString:
      AppendJsonEscaped(*text, &json_);
      *text = {};
      return;
    case State::kShortString:
      TakeShortString(text);
      return;
    case State::kQuotedKey:
      Hold(*text, kMaxKeyBytes);
      *text = {};
      return;
    case State::kBareKey:
      TakeBare(text, ":", kMaxKeyBytes);
      return;
    case State::kBareValue:
      TakeBare(text, ",}]", kMaxCallBytes);
      return;
    default:
      break;
  }
  const char c = text->front();
  if (state_ != State::kName && IsSpace(c)) {
    text->remove_prefix(1);
    return;
  }
  switch (state_) {
    case State::kName:
      StepName(c);
      break;
    case State::kKey:
      StepKey(c);
      break;
    case State::kColon:
      if (c != ':') return Break();
      state_ = State::kValue;
      break;
    case State::kValue:
      StepValue(c);
      break;
    case State::kBehindValue:
      StepBehindValue(c);
      break;
    default:  // kComplete
      Break();
  }
  // The first character of a bare text is left to TakeBare.
  if (state_ != State::kBareKey && state_ != State::kBareValue) text->remove_prefix(1);
}

void CallParser::StepName(char c) {
  if (c == '{') return EndName();
  if (!IsNameCharacter(c) && !IsSpace(c) && c != ':') return Break();
  if (held_.empty() && IsSpace(c)) return;
  Hold(absl::string_view(&c, 1), kMaxNameBytes + sizeof("call:"));
}

void CallParser::EndName() {
  absl::string_view name = absl::StripAsciiWhitespace(std::as_const(held_));
  absl::string_view rest = name;
  if (absl::ConsumePrefix(&rest, "call")) rest = absl::StripLeadingAsciiWhitespace(rest);
  // "call" alone, or at the beginning of a word, is the name.
  if (absl::ConsumePrefix(&rest, ":")) name = rest;
  name = absl::StripLeadingAsciiWhitespace(name);
  if (name.empty() || name.size() > kMaxNameBytes) return Break();
  for (const char c : name) {
    if (!IsNameCharacter(c)) return Break();
  }
  name_ = std::string(name);
  value_schema_ = find_schema_(name_);
  Open('{');
}

void CallParser::StepKey(char c) {
  if (c == '}') return Close(c);
  if (c == ',') return Break();  // no key
  held_.clear();
  in_ascii_quotes_ = c == '"';
  state_ = State::kBareKey;
}

void CallParser::StepValue(char c) {
  const Level& level = levels_.back();
  if (level.is_list && c == ']') return Close(c);
  if (c == ',' || c == '}' || c == ']') return Break();  // no value
  BeginValue();
  if (c == '{' || c == '[') return Open(c);
  held_.clear();
  in_ascii_quotes_ = c == '"';
  state_ = State::kBareValue;
}

void CallParser::StepBehindValue(char c) {
  if (c != ',') return Close(c);
  const Level& level = levels_.back();
  state_ = level.is_list ? State::kValue : State::kKey;
  if (!level.is_list) return;
  value_schema_ = level.schema.Items();
  value_types_ = value_schema_.Types();
}

void CallParser::TakeBare(absl::string_view* text, absl::string_view ends, size_t limit) {
  size_t i = 0;
  for (; i < text->size(); ++i) {
    const char c = (*text)[i];
    if (in_ascii_quotes_) {
      // The opening quote is the first character of all.
      const bool opening = held_.empty() && i == 0;
      if (c == '"' && !escaped_ && !opening) in_ascii_quotes_ = false;
      escaped_ = c == '\\' && !escaped_;
    } else if (ends.find(c) != absl::string_view::npos) {
      break;
    }
  }
  if (!Hold(text->substr(0, i), limit)) return;
  text->remove_prefix(i);
  if (text->empty()) return;
  if (state_ == State::kBareValue) return EndBareValue();
  text->remove_prefix(1);  // the colon
  EndBareKey();
}

void CallParser::TakeShortString(absl::string_view* text) {
  held_.append(text->data(), text->size());
  *text = {};
  if (held_.size() <= kMaxCoercedBytes) return;
  json_.push_back('"');
  AppendJsonEscaped(held_, &json_);
  state_ = State::kString;
}

void CallParser::EndBareKey() {
  const absl::string_view text = absl::StripAsciiWhitespace(std::as_const(held_));
  if (text.empty()) return Break();
  std::string key;
  if (!UnquoteAscii(text, &key)) key = std::string(text);
  EndKey(std::move(key));
  if (!broken()) state_ = State::kValue;
}

void CallParser::EndKey(std::string key) {
  Level& level = levels_.back();
  if (level.has_values) json_.push_back(',');
  json_ += JsonString(key);
  json_.push_back(':');
  value_schema_ = level.schema.Property(key);
  value_types_ = value_schema_.Types();
  if (!level.keys.insert(std::move(key)).second) Break();
}

void CallParser::EndBareValue() {
  const absl::string_view text = absl::StripAsciiWhitespace(std::as_const(held_));
  json_ += BareValue(text, value_types_);
  state_ = State::kBehindValue;
}

void CallParser::BeginValue() {
  Level& level = levels_.back();
  if (level.is_list && level.has_values) json_.push_back(',');
  level.has_values = true;
}

void CallParser::Open(char bracket) {
  if (levels_.size() == kMaxDepth) return Break();
  const bool is_list = bracket == '[';
  json_.push_back(bracket);
  levels_.push_back({is_list, value_schema_, {}});
  state_ = is_list ? State::kValue : State::kKey;
  if (!is_list) return;
  value_schema_ = value_schema_.Items();
  value_types_ = value_schema_.Types();
}

void CallParser::Close(char bracket) {
  const Level& level = levels_.back();
  if (bracket != (level.is_list ? ']' : '}')) return Break();
  levels_.pop_back();
  state_ = levels_.empty() ? State::kComplete : State::kBehindValue;
  if (!levels_.empty()) json_.push_back(bracket);
}

bool CallParser::Finish() {
  if (state_ != State::kComplete) Break();
  if (!broken()) json_.push_back('}');
  return !broken();
}

bool CallParser::Hold(absl::string_view text, size_t limit) {
  if (held_.size() + text.size() > limit) {
    Break();
    return false;
  }
  held_.append(text.data(), text.size());
  return true;
}

bool CallParser::AddRaw(absl::string_view text) {
  if (broken()) return false;
  raw_.append(text.data(), text.size());
  if (raw_.size() > kMaxCallBytes) Break();
  return !broken();
}

}  // namespace facet
