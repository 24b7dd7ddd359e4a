#ifndef FACET_MODEL_TOKENIZER_KNOWN_WORDS_H_
#define FACET_MODEL_TOKENIZER_KNOWN_WORDS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/tokenizer/huge_page_allocator.h"

namespace facet {

// Words of less than kKeyBytes and their ids, at most kIds. A table of 2^kSlotBits slots: a word
// takes the place of another one of the same slot. Not thread-safe.
template <size_t kKeyBytes, size_t kIds, int kSlotBits>
class KnownWords {
 public:
  static constexpr size_t kMaxWordBytes = kKeyBytes - 1;
  static constexpr size_t kMaxIds = kIds;

  KnownWords() : slots_(size_t{1} << kSlotBits) {}

  // The ids of a word of at most kMaxWordBytes; none if it is not known. They are good until the
  // next Add. `readable`: bytes from the word's begin to the end of its text.
  absl::Span<const int32_t> Find(absl::string_view word, size_t readable) {
    const Key key = KeyOf(word, readable);
    const Slot& slot = slots_[SlotOf(key)];
    if (!Same(slot.key, key)) return {};
    return absl::MakeConstSpan(slot.ids, static_cast<size_t>(slot.size));
  }
  // No effect if there are too many ids.
  void Add(absl::string_view word, absl::Span<const int32_t> ids) {
    if (ids.size() > kMaxIds) return;
    const Key key = KeyOf(word, word.size());
    Slot& slot = slots_[SlotOf(key)];
    slot.key = key;
    slot.size = static_cast<int32_t>(ids.size());
    std::copy(ids.begin(), ids.end(), slot.ids);
  }

 private:
  static constexpr size_t kParts = kKeyBytes / sizeof(uint64_t);
  // The bytes of the word, its size in the last.
  using Key = std::array<uint64_t, kParts>;
  struct Slot {
    Key key{};  // zeros: free
    int32_t size = 0;
    int32_t ids[kMaxIds];
  };

  static Key KeyOf(absl::string_view word, size_t readable) {
    Key key{};
    if (readable >= kKeyBytes) {  // a copy of a fixed size is much faster
      std::memcpy(key.data(), word.data(), kKeyBytes);
      for (size_t i = 0; i < kParts; ++i) {
        const size_t bytes = word.size() - std::min(word.size(), 8 * i);  // of this part, and later
        if (bytes < 8) key[i] &= (uint64_t{1} << (8 * bytes)) - 1;
      }
    } else {
      std::memcpy(key.data(), word.data(), word.size());
    }
    key.back() |= uint64_t{word.size()} << 56;
    return key;
  }
  // Without a call of memcmp, which takes longer than all the rest.
  static bool Same(const Key& a, const Key& b) {
    uint64_t difference = 0;
    for (size_t i = 0; i < kParts; ++i) difference |= a[i] ^ b[i];
    return difference == 0;
  }
  // Multiplicative hashing, of each part by a number of its own: the upper bits know all below.
  static size_t SlotOf(const Key& key) {
    uint64_t hash = 0, factor = 0x9E3779B97F4A7C15u;
    for (const uint64_t part : key) {
      hash += part * factor;
      factor = factor * 0xD1342543DE82EF95u + 2;  // stays odd
    }
    return static_cast<size_t>(hash >> (64 - kSlotBits));
  }

  std::vector<Slot, HugePageAllocator<Slot>> slots_;
};

}  // namespace facet

#endif  // FACET_MODEL_TOKENIZER_KNOWN_WORDS_H_
