#include "model/tokenizer/added_tokens.h"

namespace facet {

void AddedTokenMatcher::Add(absl::string_view content, int32_t id, bool special) {
  (special ? has_special_ : has_plain_) = true;
  const auto new_node = [this](uint8_t byte, uint32_t next_sibling) {
    Node node;
    node.byte = byte;
    node.next_sibling = next_sibling;
    nodes_.push_back(node);
    return static_cast<uint32_t>(nodes_.size() - 1);
  };
  const auto first = static_cast<uint8_t>(content[0]);
  if (root_[first] == kNone) root_[first] = new_node(first, kNone);
  uint32_t node = root_[first];
  for (const char c : content.substr(1)) {
    const auto byte = static_cast<uint8_t>(c);
    uint32_t child = Child(node, byte);
    if (child == kNone) {
      child = new_node(byte, nodes_[node].first_child);
      nodes_[node].first_child = child;
    }
    node = child;
  }
  nodes_[node].id = id;
  nodes_[node].special = special;
}

uint32_t AddedTokenMatcher::Child(uint32_t node, uint8_t byte) const {
  uint32_t child = nodes_[node].first_child;
  while (child != kNone && nodes_[child].byte != byte) child = nodes_[child].next_sibling;
  return child;
}

std::optional<AddedTokenMatcher::Match> AddedTokenMatcher::LongestAt(
    absl::string_view text, size_t begin, size_t to, const SpecialTokenRule& rule) const {
  std::optional<Match> longest;
  size_t end = begin;
  for (uint32_t node = root_[static_cast<uint8_t>(text[begin])]; node != kNone;
       node = Child(node, static_cast<uint8_t>(text[end]))) {
    ++end;
    if (nodes_[node].id >= 0) {
      const bool overlaps = !rule.forbidden.empty() && rule.forbidden.front().first < end;
      if (!nodes_[node].special || (rule.allowed && !overlaps)) {
        longest = {begin, end, nodes_[node].id};
      }
    }
    if (end == to) break;
  }
  return longest;
}

std::optional<AddedTokenMatcher::Match> AddedTokenMatcher::Next(absl::string_view text, size_t from,
                                                                size_t to,
                                                                SpecialTokenRule* rule) const {
  for (size_t begin = from; begin < to; ++begin) {
    if (root_[static_cast<uint8_t>(text[begin])] == kNone) continue;
    // Drop what lies behind (and what is empty and so overlaps nothing).
    auto& forbidden = rule->forbidden;
    while (!forbidden.empty() && (forbidden.front().second <= begin ||
                                  forbidden.front().first == forbidden.front().second)) {
      forbidden.remove_prefix(1);
    }
    if (const auto match = LongestAt(text, begin, to, *rule)) return match;
  }
  return std::nullopt;
}

}  // namespace facet
