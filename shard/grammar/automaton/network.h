#ifndef FACET_SHARD_GRAMMAR_AUTOMATON_NETWORK_H_
#define FACET_SHARD_GRAMMAR_AUTOMATON_NETWORK_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "shard/grammar/automaton/ebnf.h"

namespace facet {

// A grammar as one graph of nodes for each rule, joined by calls (a recursive transition network).
// A text matches if its bytes lead from start() to end() with every call returned from. Immutable.
class GrammarNetwork {
 public:
  struct Edge {
    enum class Kind : uint8_t {
      kBytes,  // one byte of [low, high]
      kEmpty,
      kCall,   // into the rule that begins at `label`; it returns to `to`
      kToken,  // the token `label`
    };
    Kind kind;
    uint8_t low, high;
    int32_t to;
    int32_t label;
  };

  static constexpr size_t kMaxNodes = 500'000;
  static constexpr size_t kMaxEdges = 1'500'000;

  // InvalidArgument: the text is no grammar, or one over a limit.
  static absl::StatusOr<GrammarNetwork> FromEbnf(absl::string_view text, const EbnfLimits& limits);

  int32_t start() const { return start_; }
  // Of the root rule.
  int32_t end() const { return end_; }
  absl::Span<const Edge> edges(int32_t node) const {
    const auto i = static_cast<size_t>(node);
    return {edges_.data() + first_edge_[i],
            static_cast<size_t>(first_edge_[i + 1] - first_edge_[i])};
  }
  // The end of its rule: back to where that was called from.
  bool IsRuleEnd(int32_t node) const { return rule_end_[static_cast<size_t>(node)]; }
  // Nothing but the end of its rule comes after it: a call need not come back here.
  bool IsTail(int32_t node) const { return tail_[static_cast<size_t>(node)]; }

  // Bytes of one class lead to the same nodes everywhere.
  int byte_classes() const { return static_cast<int>(class_bytes_.size()); }
  uint8_t ClassOf(uint8_t byte) const { return class_of_[byte]; }
  // Some byte of a class.
  uint8_t ByteOf(int byte_class) const { return class_bytes_[static_cast<size_t>(byte_class)]; }

  size_t bytes() const;

 private:
  friend class NetworkBuilder;
  GrammarNetwork() = default;

  int32_t start_ = 0, end_ = 0;
  std::vector<int32_t> first_edge_;  // by node, and one more
  std::vector<Edge> edges_;
  std::vector<bool> rule_end_, tail_;
  std::array<uint8_t, 256> class_of_ = {};
  std::vector<uint8_t> class_bytes_;
};

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_AUTOMATON_NETWORK_H_
