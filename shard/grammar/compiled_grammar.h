#ifndef FACET_SHARD_GRAMMAR_COMPILED_GRAMMAR_H_
#define FACET_SHARD_GRAMMAR_COMPILED_GRAMMAR_H_

// What is inside a CompiledGrammar: for the compiler and the matcher only.

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "shard/grammar/automaton/network.h"
#include "shard/grammar/automaton/state_cache.h"
#include "shard/grammar/automaton/token_index.h"
#include "shard/grammar/grammar_compiler.h"

namespace facet {

// Of the vocabulary: shared by all of a compiler's grammars.
struct MaskVocabulary {
  explicit MaskVocabulary(const GrammarVocabulary& vocabulary);

  bool IsEnd(int32_t id) const;

  const int32_t ids;
  const std::vector<std::string> pieces;
  const TokenIndex index;
  const std::vector<int32_t> end_ids;
  const int32_t call_end;
  int32_t call_wait = -1;  // only if it is one of end_ids
  const int32_t thought_begin, thought_end;
  // What may stand in a thought: text, and the token that ends it.
  std::vector<uint32_t> thought_mask;
};

struct CompiledGrammar::Parts {
  Parts(std::shared_ptr<const MaskVocabulary> vocabulary, GrammarNetwork network,
        std::vector<std::string> not_enforced)
      : vocabulary(std::move(vocabulary)),
        not_enforced(std::move(not_enforced)),
        network(std::make_shared<const GrammarNetwork>(std::move(network))),
        cache(std::make_shared<StateCache>(this->network)) {}

  // The states that matchers share. `full`: one that has no room left, to be replaced.
  std::shared_ptr<StateCache> Cache(const StateCache* full = nullptr) const;
  size_t bytes() const;

  const std::shared_ptr<const MaskVocabulary> vocabulary;
  const std::vector<std::string> not_enforced;
  const std::shared_ptr<const GrammarNetwork> network;
  mutable std::mutex mutex;
  mutable std::shared_ptr<StateCache> cache;  // guarded by mutex
};

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_COMPILED_GRAMMAR_H_
