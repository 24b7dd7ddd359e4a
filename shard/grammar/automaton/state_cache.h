#ifndef FACET_SHARD_GRAMMAR_AUTOMATON_STATE_CACHE_H_
#define FACET_SHARD_GRAMMAR_AUTOMATON_STATE_CACHE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/types/span.h"
#include "shard/grammar/automaton/network.h"
#include "shard/grammar/automaton/token_index.h"

namespace facet {

// What one call may still cost, in steps of some nanoseconds. Below zero: it is used up.
struct WorkBudget {
  int64_t left = 0;
  bool Spend(int64_t work) { return (left -= work) >= 0; }
  bool exhausted() const { return left < 0; }
};

// Where a text may stand in a grammar, as states that are made when first met (a lazily
// determinized automaton with stacks): a state is a set of places in the network, each with the
// calls to return from. State 0 is that of a text that does not match; every other one can be
// completed to a text that does.
//
// Not thread-safe: hold `mutex`.
class StateCache {
 public:
  static constexpr int32_t kDead = 0;
  // Instead of a state: the cache is full (`ImportFrom` a fresh one), or the budget is used up.
  static constexpr int32_t kFull = -2;
  static constexpr int32_t kExhausted = -3;

  static constexpr size_t kMaxBytes = size_t{16} << 20;      // of states
  static constexpr size_t kMaxMaskBytes = size_t{16} << 20;  // of masks
  static constexpr int kMaxPlaces = 10'000;                  // of a state

  explicit StateCache(std::shared_ptr<const GrammarNetwork> network);

  // Of the empty text.
  int32_t Start(WorkBudget* work);
  // After one more byte of a class, or a token that the grammar names by its id.
  int32_t Next(int32_t state, int byte_class, WorkBudget* work) {
    const int32_t known =
        table_[static_cast<size_t>(state) * classes_ + static_cast<size_t>(byte_class)];
    return known >= 0 ? known : Make(state, byte_class, work);
  }
  int32_t NextByte(int32_t state, uint8_t byte, WorkBudget* work) {
    return Next(state, network_->ClassOf(byte), work);
  }
  int32_t NextToken(int32_t state, int32_t id, WorkBudget* work);
  // The same state of another cache of the same network.
  int32_t ImportFrom(const StateCache& other, int32_t state, WorkBudget* work);

  // The text may end here.
  bool IsComplete(int32_t state) const { return states_[static_cast<size_t>(state)].complete; }
  // The tokens that may come next by their id.
  std::vector<int32_t> TokensOf(int32_t state) const;

  // How many characters of a kind (TokenIndex) may come next in any order: surely up to `sure`;
  // surely not `not_all`. For the mask's builder to fill.
  struct Freedom {
    uint8_t sure = 0;
    uint8_t not_all = 255;
  };
  Freedom& FreedomOf(int32_t state, int kind) {
    return states_[static_cast<size_t>(state)].freedom[static_cast<size_t>(kind)];
  }

  // The mask of a state, kept for those who come to it later; null: there is none yet.
  const std::vector<uint32_t>* FindMask(int32_t state) const;
  const std::vector<uint32_t>* KeepMask(int32_t state, std::vector<uint32_t> mask);

  const GrammarNetwork& network() const { return *network_; }
  size_t states() const { return states_.size(); }
  // At any time, without the mutex too.
  size_t bytes() const { return bytes_ + mask_bytes_; }

  std::mutex mutex;

 private:
  // A node of the network and a stack of calls; 0 is the empty one.
  struct Place {
    int32_t node, stack;
    auto operator<=>(const Place&) const = default;
    template <typename H>
    friend H AbslHashValue(H h, const Place& place) {
      return H::combine(std::move(h), place.node, place.stack);
    }
  };
  struct Frame {
    int32_t node, parent;  // where to return to, and the stack then
  };
  struct State {
    int32_t first_place, places;
    bool complete;
    std::array<Freedom, TokenIndex::kKinds> freedom = {};
  };

  int32_t Make(int32_t state, int byte_class, WorkBudget* work);
  // The state of `reached_` and all that follows without a byte.
  int32_t Close(WorkBudget* work);
  void Reach(int32_t node, int32_t stack);
  int32_t Intern(WorkBudget* work);
  int32_t Push(int32_t node, int32_t parent);
  absl::Span<const Place> PlacesOf(int32_t state) const;

  const std::shared_ptr<const GrammarNetwork> network_;
  const size_t classes_;
  std::vector<State> states_;
  std::vector<Place> places_;   // of all states
  std::vector<int32_t> table_;  // [state, byte class]: the next state; -1: not made yet
  absl::flat_hash_map<std::vector<Place>, int32_t> ids_;
  std::vector<Frame> frames_ = {{-1, -1}};
  absl::flat_hash_map<std::pair<int32_t, int32_t>, int32_t> frame_ids_;
  absl::flat_hash_map<int32_t, std::vector<uint32_t>> masks_;
  std::atomic<size_t> bytes_ = 0, mask_bytes_ = 0;

  // Scratch.
  std::vector<Place> reached_, kept_;
  absl::flat_hash_set<Place> seen_;
};

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_AUTOMATON_STATE_CACHE_H_
