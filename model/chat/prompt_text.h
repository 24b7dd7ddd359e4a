#ifndef FACET_MODEL_CHAT_PROMPT_TEXT_H_
#define FACET_MODEL_CHAT_PROMPT_TEXT_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace facet {

// A prompt while it is written, and which of its bytes came from the caller: special tokens are
// matched outside of those only (Tokenizer::EncodeWithPlainRanges). Thread-compatible.
class PromptText {
 public:
  // What the template itself says.
  void Markup(absl::string_view text) { text_.append(text.data(), text.size()); }
  // What the caller wrote.
  void Caller(absl::string_view text) {
    if (text.empty()) return;
    const size_t begin = text_.size();
    text_.append(text.data(), text.size());
    if (!caller_ranges_.empty() && caller_ranges_.back().second == begin) {
      caller_ranges_.back().second = text_.size();
    } else {
      caller_ranges_.push_back({begin, text_.size()});
    }
  }
  // A string value, in the quotes that only the template can write.
  void Quoted(absl::string_view text) {
    Markup("<|\"|>");
    Caller(text);
    Markup("<|\"|>");
  }

  const std::string& text() const { return text_; }
  // Byte ranges [begin, end) of text(): ascending, disjoint, none empty.
  const std::vector<std::pair<size_t, size_t>>& caller_ranges() const { return caller_ranges_; }

 private:
  std::string text_;
  std::vector<std::pair<size_t, size_t>> caller_ranges_;
};

}  // namespace facet

#endif  // FACET_MODEL_CHAT_PROMPT_TEXT_H_
