#include "shard/grammar/compiled_grammar.h"

#include <algorithm>

#include "shard/grammar/apply_mask.h"

namespace facet {

MaskVocabulary::MaskVocabulary(const GrammarVocabulary& vocabulary)
    : ids(static_cast<int32_t>(vocabulary.pieces.size())),
      pieces(vocabulary.pieces),
      index(vocabulary.pieces),
      end_ids(vocabulary.end_ids),
      call_end(vocabulary.call.call_end),
      thought_begin(vocabulary.thought_begin),
      thought_end(vocabulary.thought_end) {
  if (IsEnd(vocabulary.call_wait)) call_wait = vocabulary.call_wait;
  thought_mask.resize(MaskWords(pieces.size()));
  for (int32_t id = 0; id < ids; ++id) {
    if (IsEnd(id) || (pieces[static_cast<size_t>(id)].empty() && id != thought_end)) continue;
    thought_mask[static_cast<size_t>(id / 32)] |= uint32_t{1} << (id % 32);
  }
}

bool MaskVocabulary::IsEnd(int32_t id) const {
  return std::find(end_ids.begin(), end_ids.end(), id) != end_ids.end();
}

CompiledGrammar::CompiledGrammar(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
CompiledGrammar::~CompiledGrammar() = default;
size_t CompiledGrammar::bytes() const { return parts_->bytes(); }
const std::vector<std::string>& CompiledGrammar::not_enforced() const {
  return parts_->not_enforced;
}
int32_t CompiledGrammar::mask_ids() const { return parts_->vocabulary->ids; }

std::shared_ptr<StateCache> CompiledGrammar::Parts::Cache(const StateCache* full) const {
  const std::lock_guard lock(mutex);
  if (cache.get() == full) cache = std::make_shared<StateCache>(network);
  return cache;
}

size_t CompiledGrammar::Parts::bytes() const {
  const std::lock_guard lock(mutex);
  return network->bytes() + cache->bytes();
}

}  // namespace facet
