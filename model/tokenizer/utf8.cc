#include "model/tokenizer/utf8.h"

#include <cstring>

namespace facet {
namespace {

struct LeadRule {
  int size;           // bytes of the code point; 0: no code point begins so
  uint8_t low, high;  // what the second byte may be
};

LeadRule RuleOf(uint8_t lead) {
  if (lead < 0x80) return {1, 0, 0};
  if (lead < 0xC2) return {0, 0, 0};  // continuation bytes, and overlong forms of ASCII
  if (lead < 0xE0) return {2, 0x80, 0xBF};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};  // less would be overlong
  if (lead == 0xED) return {3, 0x80, 0x9F};  // more would be a surrogate
  if (lead < 0xF0) return {3, 0x80, 0xBF};
  if (lead == 0xF0) return {4, 0x90, 0xBF};  // less would be overlong
  if (lead < 0xF4) return {4, 0x80, 0xBF};
  if (lead == 0xF4) return {4, 0x80, 0x8F};  // more would exceed U+10FFFF
  return {0, 0, 0};
}

}  // namespace

Utf8Step StepUtf8(absl::string_view bytes) {
  const auto byte = [bytes](int i) { return static_cast<uint8_t>(bytes[i]); };
  const LeadRule rule = RuleOf(byte(0));
  if (rule.size == 0) return {Utf8Kind::kInvalid, 1, 0};
  for (int i = 1; i < rule.size; ++i) {
    if (static_cast<size_t>(i) == bytes.size()) return {Utf8Kind::kTruncated, i, 0};
    const uint8_t low = i == 1 ? rule.low : 0x80;
    const uint8_t high = i == 1 ? rule.high : 0xBF;
    if (byte(i) < low || byte(i) > high) return {Utf8Kind::kInvalid, i, 0};
  }
  return {Utf8Kind::kWhole, rule.size, DecodeValidUtf8(bytes.data(), rule.size)};
}

std::optional<size_t> FindInvalidUtf8(absl::string_view bytes) {
  size_t at = 0;
  while (at < bytes.size()) {
    // Eight ASCII bytes at a time.
    uint64_t word;
    if (bytes.size() - at >= sizeof(word)) {
      std::memcpy(&word, bytes.data() + at, sizeof(word));
      if ((word & 0x8080808080808080u) == 0) {
        at += sizeof(word);
        continue;
      }
    }
    const Utf8Step step = StepUtf8(bytes.substr(at));
    if (step.kind != Utf8Kind::kWhole) return at;
    at += step.size;
  }
  return std::nullopt;
}

}  // namespace facet
