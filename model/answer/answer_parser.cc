#include "model/answer/answer_parser.h"

#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace facet {
namespace {

using Kind = AnswerEvent::Kind;

// Text to the last event, if it is of this kind and call, else to a new one.
void AddText(Kind kind, int call_index, absl::string_view text, std::vector<AnswerEvent>* events) {
  if (text.empty()) return;
  if (events->empty() || events->back().kind != kind || events->back().call_index != call_index) {
    events->push_back({kind, call_index, "", "", ""});
  }
  events->back().text.append(text.data(), text.size());
}

}  // namespace

AnswerParser::AnswerParser(const Tokenizer* tokenizer, const ControlTokens* control_tokens,
                           AnswerOptions options)
    : control_tokens_(control_tokens),
      options_(std::move(options)),
      decoder_(tokenizer, /*skip_special=*/true),
      state_(options_.starts_in_reasoning ? State::kReasoning : State::kContent) {
  FACET_CHECK(options_.call_suffix != nullptr) << "call_suffix is missing";
}

bool AnswerParser::Push(int32_t id, Events* events) {
  if (ended()) return true;
  const ControlToken kind = control_tokens_->KindOf(id);
  Count(kind);
  text_.clear();
  if (kind == ControlToken::kNone) {
    decoder_.Append(id, &text_);
    PushText(text_, events);
  } else {
    PushText(decoder_.Finish(), events);
    PushControl(kind, events);
  }
  return ended();
}

void AnswerParser::Finish(End end, Events* events) {
  if (ended()) return;
  PushText(decoder_.Finish(), events);
  if (!ended()) EndAnswer(end, events);
}

void AnswerParser::Count(ControlToken kind) {
  if (in_call() || kind == ControlToken::kOpenCall) {
    ++(kind == ControlToken::kEnd ? content_tokens_ : call_tokens_);
  } else if (in_reasoning() || kind == ControlToken::kOpenChannel) {
    ++(kind == ControlToken::kEnd ? content_tokens_ : reasoning_tokens_);
  } else {
    ++content_tokens_;
  }
}

void AnswerParser::PushControl(ControlToken kind, Events* events) {
  if (ended()) return;
  switch (kind) {
    case ControlToken::kOpenChannel:
      if (state_ == State::kCall) break;
      header_.clear();
      state_ = State::kHeader;
      break;
    case ControlToken::kCloseChannel:
      if (in_reasoning()) state_ = State::kContent;
      break;
    case ControlToken::kOpenCall:
      if (state_ == State::kCall) BreakCall(events);
      if (!ended()) BeginCall(events);
      break;
    case ControlToken::kCloseCall:
      if (in_call()) CloseCall(events);
      break;
    case ControlToken::kStringQuote:
      if (state_ == State::kCall) {
        call_->PushQuote();
        ContinueCall(events);
      } else if (state_ == State::kBrokenCall) {
        AddContent("\"", events);
      }
      break;
    case ControlToken::kEnd:
      EndAnswer(End::kStop, events);
      break;
    case ControlToken::kOther:
    case ControlToken::kNone:
      break;
  }
}

void AnswerParser::PushText(absl::string_view text, Events* events) {
  if (text.empty()) return;
  switch (state_) {
    case State::kContent:
    case State::kBrokenCall:
      AddContent(text, events);
      break;
    case State::kHeader:
      PushHeader(text, events);
      break;
    case State::kReasoning:
      AddReasoning(text, events);
      break;
    case State::kCall:
      call_->PushText(text);
      ContinueCall(events);
      break;
  }
}

void AnswerParser::PushHeader(absl::string_view text, Events* events) {
  const size_t newline = text.find('\n');
  const bool named = newline != absl::string_view::npos;
  const absl::string_view name = text.substr(0, named ? newline : text.size());
  header_.append(name.data(), name.size());
  if (header_.size() > kMaxChannelNameBytes) {
    state_ = State::kReasoning;
    AddReasoning(header_, events);
    if (named) AddReasoning(text.substr(newline), events);
  } else if (named) {
    state_ = State::kReasoning;
    AddReasoning(text.substr(newline + 1), events);
  }
}

void AnswerParser::AddReasoning(absl::string_view text, Events* events) {
  std::string visible;
  reasoning_.Append(text, &visible);
  AddText(Kind::kReasoning, -1, visible, events);
}

void AnswerParser::AddContent(absl::string_view text, Events* events) {
  if (options_.content_filter == nullptr) return AddTrimmedContent(text, events);
  if (ended()) return;
  std::string released;
  const bool stop = options_.content_filter->Push(text, &released);
  AddTrimmedContent(released, events);
  if (stop) end_ = End::kStopSequence;
}

void AnswerParser::AddTrimmedContent(absl::string_view text, Events* events) {
  std::string visible;
  content_.Append(text, &visible);
  AddText(Kind::kContent, -1, visible, events);
}

void AnswerParser::BeginCall(Events* events) {
  call_.emplace([this](absl::string_view tool) { return FindSchema(tool); });
  call_begun_ = false;
  call_json_.clear();
  state_ = State::kCall;
}

ArgumentSchema AnswerParser::FindSchema(absl::string_view tool) const {
  return options_.find_parameters == nullptr ? ArgumentSchema()
                                             : ArgumentSchema(options_.find_parameters(tool));
}

void AnswerParser::ContinueCall(Events* events) {
  if (call_->broken()) return BreakCall(events);
  if (call_->name().empty()) return;
  if (!options_.streams_calls) {
    call_json_ += call_->TakeJson();
    return;
  }
  if (!call_begun_) GiveCallBegin(events);
  AddText(Kind::kCallArguments, next_call_index_ - 1, call_->TakeJson(), events);
}

void AnswerParser::GiveCallBegin(Events* events) {
  call_begun_ = true;
  events->push_back({Kind::kCallBegin, next_call_index_++, "",
                     absl::StrCat("call_", options_.call_suffix()), call_->name()});
}

void AnswerParser::CloseCall(Events* events) {
  if (state_ == State::kCall && !call_->Finish()) BreakCall(events);
  if (state_ == State::kCall) {
    if (!call_begun_) GiveCallBegin(events);
    call_json_ += call_->TakeJson();
    AddText(Kind::kCallArguments, next_call_index_ - 1, call_json_, events);
    events->push_back({Kind::kCallEnd, next_call_index_ - 1, "", "", ""});
    ++calls_;
  }
  call_.reset();
  state_ = State::kContent;
}

void AnswerParser::BreakCall(Events* events) {
  ++broken_calls_;
  WithdrawCall(events);
  state_ = State::kBrokenCall;
  AddContent(call_->raw(), events);
  call_.reset();
}

void AnswerParser::WithdrawCall(Events* events) {
  if (call_begun_) events->push_back({Kind::kCallWithdrawn, next_call_index_ - 1, "", "", ""});
  call_begun_ = false;
}

void AnswerParser::EndAnswer(End end, Events* events) {
  if (state_ == State::kCall && end == End::kLength) {
    ++unfinished_calls_;
    WithdrawCall(events);
  } else if (state_ == State::kCall) {
    BreakCall(events);
  }
  call_.reset();
  if (!ended() && options_.content_filter != nullptr) {
    std::string released;
    options_.content_filter->Finish(&released);
    AddTrimmedContent(released, events);
  }
  if (!ended()) end_ = end;
  state_ = State::kContent;
}

}  // namespace facet
