#ifndef FACET_MODEL_FINGERPRINT_H_
#define FACET_MODEL_FINGERPRINT_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace facet {

// 64-bit FNV-1a over a sequence of pieces, the same on every machine and in every build. Tells
// checkpoints apart that differ by mistake; it is no defence against forgery.
class FingerprintBuilder {
 public:
  void Add(uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) AddByte(static_cast<uint8_t>(number >> shift));
  }
  // With its length, so that pieces do not run into one another.
  void Add(absl::string_view bytes) {
    Add(uint64_t{bytes.size()});
    for (const char c : bytes) AddByte(static_cast<uint8_t>(c));
  }
  uint64_t value() const { return value_; }

 private:
  void AddByte(uint8_t byte) { value_ = (value_ ^ byte) * 0x100000001b3u; }
  uint64_t value_ = 0xcbf29ce484222325u;
};

}  // namespace facet

#endif  // FACET_MODEL_FINGERPRINT_H_
