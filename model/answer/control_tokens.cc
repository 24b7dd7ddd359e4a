#include "model/answer/control_tokens.h"

#include <utility>

#include "absl/strings/string_view.h"

namespace facet {

ControlTokens::ControlTokens(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {
  constexpr std::pair<absl::string_view, ControlToken> kTexts[] = {
      {"<|channel>", ControlToken::kOpenChannel}, {"<channel|>", ControlToken::kCloseChannel},
      {"<|tool_call>", ControlToken::kOpenCall},  {"<tool_call|>", ControlToken::kCloseCall},
      {"<|\"|>", ControlToken::kStringQuote},     {"<turn|>", ControlToken::kEnd},
      {"<|tool_response>", ControlToken::kEnd},   {"<eos>", ControlToken::kEnd},
  };
  static_assert(std::size(kTexts) == std::tuple_size_v<decltype(entries_)>);
  for (size_t i = 0; i < entries_.size(); ++i) {
    // A negative id is no token's: KindOf of it answers kOther, and nothing has its text.
    entries_[i] = {tokenizer.TokenToId(kTexts[i].first).value_or(-1), kTexts[i].second};
    if (entries_[i].id < 0) entries_[i].kind = ControlToken::kOther;
  }
}

}  // namespace facet
