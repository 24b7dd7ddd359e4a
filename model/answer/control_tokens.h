#ifndef FACET_MODEL_ANSWER_CONTROL_TOKENS_H_
#define FACET_MODEL_ANSWER_CONTROL_TOKENS_H_

#include <array>
#include <cstdint>

#include "model/tokenizer/tokenizer.h"

namespace facet {

// What a token does to the structure of an answer.
enum class ControlToken {
  kNone,          // it is text
  kOpenChannel,   // <|channel>
  kCloseChannel,  // <channel|>
  kOpenCall,      // <|tool_call>
  kCloseCall,     // <tool_call|>
  kStringQuote,   // <|"|>
  kEnd,           // <turn|>, <|tool_response>, <eos>
  kOther,         // any other special token: no text, no effect
};

// The ids of these tokens in one tokenizer, found by their texts; one that the tokenizer does not
// have is never met. Immutable; must not outlive the tokenizer.
class ControlTokens {
 public:
  explicit ControlTokens(const Tokenizer& tokenizer);

  ControlToken KindOf(int32_t id) const {
    for (const Entry& entry : entries_) {
      if (entry.id == id) return entry.kind;
    }
    return tokenizer_->IsSpecial(id) ? ControlToken::kOther : ControlToken::kNone;
  }

 private:
  struct Entry {
    int32_t id = -1;
    ControlToken kind = ControlToken::kOther;
  };
  const Tokenizer* tokenizer_;
  std::array<Entry, 8> entries_;
};

}  // namespace facet

#endif  // FACET_MODEL_ANSWER_CONTROL_TOKENS_H_
