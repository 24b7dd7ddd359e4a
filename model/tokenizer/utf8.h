#ifndef FACET_MODEL_TOKENIZER_UTF8_H_
#define FACET_MODEL_TOKENIZER_UTF8_H_

// UTF-8 as the Unicode standard defines it (table 3-7, "Well-Formed UTF-8 Byte Sequences"): no
// overlong forms, no surrogates, nothing above U+10FFFF.

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace facet {

inline constexpr absl::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

enum class Utf8Kind {
  kWhole,      // a code point
  kTruncated,  // the beginning of a code point, cut off by the end of the bytes
  kInvalid,    // neither
};

struct Utf8Step {
  Utf8Kind kind;
  // Bytes it takes, at least 1. For kTruncated all bytes that are left; for kInvalid the maximal
  // subpart: the longest beginning of a code point there is, or 1 where not even one byte is that.
  int size;
  uint32_t code_point;  // for kWhole
};

// What the bytes begin with. `bytes` must not be empty.
Utf8Step StepUtf8(absl::string_view bytes);

// The offset of the first byte that does not belong to a whole code point, if any.
std::optional<size_t> FindInvalidUtf8(absl::string_view bytes);

// Bytes of the code point that begins with `lead`, which must be the first byte of valid UTF-8.
inline int Utf8SizeFromLead(uint8_t lead) {
  return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

// Reads a code point of valid UTF-8 of Utf8SizeFromLead(text[0]) bytes.
inline uint32_t DecodeValidUtf8(const char* text, int size) {
  const auto byte = [text](int i) { return static_cast<uint32_t>(static_cast<uint8_t>(text[i])); };
  switch (size) {
    case 1:
      return byte(0);
    case 2:
      return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
    case 3:
      return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    default:
      return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 |
             (byte(3) & 0x3F);
  }
}

}  // namespace facet

#endif  // FACET_MODEL_TOKENIZER_UTF8_H_
