#include "shard/grammar/apply_mask.h"

#include <immintrin.h>

#include <algorithm>
#include <limits>

#include "base/log.h"

namespace facet {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

void MaskWord(uint32_t word, float* logits, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if ((word >> i & 1) == 0) logits[i] = kNever;
  }
}

void MaskFullWords(const uint32_t* mask, size_t words, float* logits) {
  for (size_t w = 0; w < words; ++w) {
    // Most words of a real mask are all or nothing.
    if (mask[w] == 0) {
      std::fill_n(logits + 32 * w, 32, kNever);
    } else if (mask[w] != ~uint32_t{0}) {
      MaskWord(mask[w], logits + 32 * w, 32);
    }
  }
}

__attribute__((target("avx512f"))) void MaskFullWordsAvx512(const uint32_t* mask, size_t words,
                                                            float* logits) {
  const __m512 never = _mm512_set1_ps(kNever);
  for (size_t w = 0; w < words; ++w) {
    _mm512_mask_storeu_ps(logits + 32 * w, static_cast<__mmask16>(~mask[w]), never);
    _mm512_mask_storeu_ps(logits + 32 * w + 16, static_cast<__mmask16>(~mask[w] >> 16), never);
  }
}

}  // namespace

void ApplyMask(absl::Span<const uint32_t> mask, absl::Span<float> logits) {
  FACET_CHECK(mask.size() >= MaskWords(logits.size()));
  static const bool wide = __builtin_cpu_supports("avx512f");
  const size_t words = logits.size() / 32;
  (wide ? MaskFullWordsAvx512 : MaskFullWords)(mask.data(), words, logits.data());
  if (const size_t rest = logits.size() % 32; rest > 0) {
    MaskWord(mask[words], logits.data() + 32 * words, rest);
  }
}

void ApplyMaskReference(absl::Span<const uint32_t> mask, absl::Span<float> logits) {
  for (size_t i = 0; i < logits.size(); ++i) {
    const bool allowed = (mask[i / 32] >> (i % 32) & 1) != 0;
    if (!allowed) logits[i] = kNever;
  }
}

}  // namespace facet
