#include "shard/grammar/automaton/mask_builder.h"

#include <algorithm>

namespace facet {
namespace {

void Set(std::vector<uint32_t>* mask, int32_t id) {
  (*mask)[static_cast<size_t>(id / 32)] |= uint32_t{1} << (id % 32);
}

class MaskBuilder {
 public:
  MaskBuilder(const TokenIndex& index, StateCache* cache, WorkBudget* work)
      : index_(index), cache_(cache), work_(work) {}

  MaskResult Build(int32_t state, std::vector<uint32_t>* mask) {
    mask->assign(index_.mask_words(), 0);
    for (const int32_t id : cache_->TokensOf(state)) Set(mask, id);
    // A kind that holds another is not freer than that.
    int length = static_cast<int>(TokenIndex::kLengths.size());
    for (int kind = 0; kind < TokenIndex::kKinds && failure_ == 0; ++kind) {
      while (length > 0 &&
             !IsFree(state, kind, TokenIndex::kLengths[static_cast<size_t>(length - 1)])) {
        --length;
      }
      if (length > 0) {
        const auto group = index_.Mask(kind, length - 1);
        for (size_t w = 0; w < group.size(); ++w) (*mask)[w] |= group[w];
      }
      for (size_t i = static_cast<size_t>(length); i < TokenIndex::kLengths.size(); ++i) {
        Walk(index_.Tree(kind, static_cast<int>(i)), state, mask);
      }
    }
    Walk(index_.Rest(), state, mask);
    return failure_ == 0                   ? MaskResult::kOk
           : failure_ == StateCache::kFull ? MaskResult::kFull
                                           : MaskResult::kExhausted;
  }

 private:
  // Whether any `length` characters of a kind may follow.
  bool IsFree(int32_t state, int kind, int length) {
    if (length == 0) return true;
    const StateCache::Freedom known = cache_->FreedomOf(state, kind);
    if (length <= known.sure) return true;
    if (length >= known.not_all) return false;
    const bool is_free = std::all_of(Ranges(kind).begin(), Ranges(kind).end(),
                                     [&](const std::vector<ByteRange>& sequence) {
                                       return IsFreeAfter(state, sequence, 0, kind, length);
                                     });
    if (failure_ != 0) return false;
    StateCache::Freedom& freedom = cache_->FreedomOf(state, kind);
    if (is_free) {
      freedom.sure = static_cast<uint8_t>(length);
    } else {
      freedom.not_all = static_cast<uint8_t>(length);
    }
    return is_free;
  }

  // After the bytes of a sequence from the i-th on, the first character's, `length - 1` more.
  bool IsFreeAfter(int32_t state, const std::vector<ByteRange>& sequence, size_t i, int kind,
                   int length) {
    if (i == sequence.size()) return IsFree(state, kind, length - 1);
    const GrammarNetwork& network = cache_->network();
    int32_t last = -1;
    for (int c = network.ClassOf(sequence[i].low); c <= network.ClassOf(sequence[i].high); ++c) {
      const int32_t next = Next(state, c);
      if (next <= 0) return false;
      if (next == last) continue;
      if (!IsFreeAfter(next, sequence, i + 1, kind, length)) return false;
      last = next;
    }
    return true;
  }

  void Walk(const TokenTree& tree, int32_t state, std::vector<uint32_t>* mask) {
    if (failure_ != 0) return;
    states_.resize(std::max(states_.size(), static_cast<size_t>(tree.max_depth()) + 1));
    states_[0] = state;
    const auto nodes = tree.nodes();
    for (size_t i = 0; i < nodes.size();) {
      const TokenTree::Node& node = nodes[i];
      const int32_t next = Next(states_[node.depth - 1u], cache_->network().ClassOf(node.byte));
      if (next <= 0) {
        if (next < 0) return;
        i = static_cast<size_t>(node.after);
        continue;
      }
      states_[node.depth] = next;
      for (int t = 0; t < node.tokens; ++t) {
        Set(mask, tree.token_ids()[static_cast<size_t>(node.first_token + t)]);
      }
      ++i;
    }
  }

  int32_t Next(int32_t state, int byte_class) {
    if (!work_->Spend(1)) {
      failure_ = StateCache::kExhausted;
      return failure_;
    }
    const int32_t next = cache_->Next(state, byte_class, work_);
    if (next < 0) failure_ = next;
    return next;
  }

  static const std::vector<std::vector<ByteRange>>& Ranges(int kind) {
    static const auto& ranges = *[] {
      auto* all = new std::vector<std::vector<std::vector<ByteRange>>>;
      for (const CodePointSet& set : TokenIndex::Kinds()) all->push_back(Utf8Ranges(set));
      return all;
    }();
    return ranges[static_cast<size_t>(kind)];
  }

  const TokenIndex& index_;
  StateCache* const cache_;
  WorkBudget* const work_;
  int32_t failure_ = 0;
  std::vector<int32_t> states_;  // by depth
};

}  // namespace

MaskResult BuildMask(const TokenIndex& index, StateCache* cache, int32_t state, WorkBudget* work,
                     std::vector<uint32_t>* mask) {
  return MaskBuilder(index, cache, work).Build(state, mask);
}

}  // namespace facet
