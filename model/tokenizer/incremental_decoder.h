#ifndef FACET_MODEL_TOKENIZER_INCREMENTAL_DECODER_H_
#define FACET_MODEL_TOKENIZER_INCREMENTAL_DECODER_H_

#include <cstdint>
#include <string>

#include "model/tokenizer/tokenizer.h"

namespace facet {

// Turns the token ids of one stream into text that may be sent at once: every string it returns is
// valid UTF-8, and their concatenation is the text of all ids.
//
// A piece adds its text. A byte token adds one byte, which is held back until its code point is
// whole. Bytes that cannot become a code point yield U+FFFD as Unicode recommends (chapter 3,
// "substitution of maximal subparts"; so do WHATWG's and Python's decoders): one for a truncated
// code point however many of its bytes are there (F0 9F 98 at the end: one), one for each byte
// that can neither begin nor continue one (FF, a stray 80, C0, ED A0 -> two). A code point counts
// as truncated when the stream ends, when any other token follows (a skipped special token and an
// id outside the vocabulary too: both add no text), or when a byte follows that does not fit.
//
// At most 3 bytes are ever held. Thread-compatible: one stream, one decoder.
class IncrementalDecoder {
 public:
  // `tokenizer` must outlive the decoder. `skip_special`: special tokens add no text.
  IncrementalDecoder(const Tokenizer* tokenizer, bool skip_special)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  // The text that became whole with this token; empty while a code point is incomplete (and for
  // tokens without text): send nothing then.
  std::string Push(int32_t id) {
    std::string text;
    Append(id, &text);
    return text;
  }

  // Ends the stream: U+FFFD if a code point is incomplete, else empty. The decoder may then be
  // used for another stream.
  std::string Finish() {
    std::string text;
    FlushTruncated(&text);
    return text;
  }

  // Push, appended to *text.
  void Append(int32_t id, std::string* text);

 private:
  void AppendByte(uint8_t byte, std::string* text);
  void FlushTruncated(std::string* text);

  const Tokenizer* tokenizer_;
  bool skip_special_;
  char pending_[4] = {};  // the first bytes of a code point, a valid beginning of one
  int pending_size_ = 0;
};

}  // namespace facet

#endif  // FACET_MODEL_TOKENIZER_INCREMENTAL_DECODER_H_
