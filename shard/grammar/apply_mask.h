#ifndef FACET_SHARD_GRAMMAR_APPLY_MASK_H_
#define FACET_SHARD_GRAMMAR_APPLY_MASK_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace facet {

// Words of a mask over `ids` ids: bit i % 32 of word i / 32 is set where id i is allowed.
constexpr size_t MaskWords(size_t ids) { return (ids + 31) / 32; }

// logits[i] = -infinity wherever bit i of `mask` is clear; all else stays as it is. `mask` has
// MaskWords(logits.size()) words at least; bits beyond the row are ignored.
void ApplyMask(absl::Span<const uint32_t> mask, absl::Span<float> logits);

// The same by its definition, one id at a time: what ApplyMask is tested against.
void ApplyMaskReference(absl::Span<const uint32_t> mask, absl::Span<float> logits);

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_APPLY_MASK_H_
