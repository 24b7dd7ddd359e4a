#ifndef FACET_SHARD_GRAMMAR_AUTOMATON_TOKEN_INDEX_H_
#define FACET_SHARD_GRAMMAR_AUTOMATON_TOKEN_INDEX_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "shard/grammar/automaton/code_points.h"

namespace facet {

// Tokens by their bytes, as a tree in depth-first order: a walk goes from a node to the next one,
// or over everything below it.
class TokenTree {
 public:
  struct Node {
    int32_t after;        // the first node that is not below this one
    int32_t first_token;  // into token_ids()
    uint16_t tokens;      // that end here
    uint16_t depth;       // bytes from the root, 1 or more
    uint8_t byte;         // the last of them
  };

  // The ids of `pieces` that belong into the tree; none of their pieces is empty.
  TokenTree(absl::Span<const std::string> pieces, std::vector<int32_t> ids);

  absl::Span<const Node> nodes() const { return nodes_; }
  absl::Span<const int32_t> token_ids() const { return ids_; }
  int max_depth() const { return max_depth_; }

 private:
  std::vector<int32_t> ids_;  // by their bytes
  std::vector<Node> nodes_;
  int max_depth_ = 0;
};

// A vocabulary, cut up so that most of it need not be walked: tokens of plain text are grouped by
// the characters they are made of and by how many they have. Where a grammar takes any text of a
// group's characters, all of its tokens are allowed at once.
class TokenIndex {
 public:
  // Each kind of characters holds the one before it.
  static constexpr int kKinds = 7;
  // Tokens of at most so many characters; longer ones are in no group.
  static constexpr std::array<int, 5> kLengths = {2, 4, 8, 16, 32};

  // Empty pieces are left out.
  explicit TokenIndex(absl::Span<const std::string> pieces);

  size_t mask_words() const { return mask_words_; }
  static const std::array<CodePointSet, kKinds>& Kinds();
  // Tokens made of characters of `kind`, at least one of them of no kind before it, and of at most
  // kLengths[length] of them: a mask, and the tree of those that have more than
  // kLengths[length - 1].
  absl::Span<const uint32_t> Mask(int kind, int length) const {
    return groups_[static_cast<size_t>(kind)][static_cast<size_t>(length)].mask;
  }
  const TokenTree& Tree(int kind, int length) const {
    return groups_[static_cast<size_t>(kind)][static_cast<size_t>(length)].tree;
  }
  // All that are in no group.
  const TokenTree& Rest() const { return rest_; }

 private:
  struct Group {
    std::vector<uint32_t> mask;
    TokenTree tree{{}, {}};
  };
  size_t mask_words_;
  std::array<std::array<Group, kLengths.size()>, kKinds> groups_;
  TokenTree rest_{{}, {}};
};

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_AUTOMATON_TOKEN_INDEX_H_
