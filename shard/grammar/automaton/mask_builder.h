#ifndef FACET_SHARD_GRAMMAR_AUTOMATON_MASK_BUILDER_H_
#define FACET_SHARD_GRAMMAR_AUTOMATON_MASK_BUILDER_H_

#include <cstdint>
#include <vector>

#include "shard/grammar/automaton/state_cache.h"
#include "shard/grammar/automaton/token_index.h"

namespace facet {

enum class MaskResult { kOk, kFull, kExhausted };

// Which tokens may come next in a state: exactly those whose bytes the state takes, and those that
// the grammar names by id. End tokens are left to the caller. `mask` has the index's words.
// kFull, kExhausted: as StateCache's, and the mask says nothing.
MaskResult BuildMask(const TokenIndex& index, StateCache* cache, int32_t state, WorkBudget* work,
                     std::vector<uint32_t>* mask);

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_AUTOMATON_MASK_BUILDER_H_
