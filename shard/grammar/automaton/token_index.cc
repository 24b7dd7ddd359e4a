#include "shard/grammar/automaton/token_index.h"

#include <algorithm>
#include <utility>

#include "absl/strings/string_view.h"
#include "model/tokenizer/utf8.h"

namespace facet {
namespace {

// The code points of a text; false: it is not UTF-8.
bool Decode(absl::string_view text, std::vector<uint32_t>* code_points) {
  while (!text.empty()) {
    const Utf8Step step = StepUtf8(text);
    if (step.kind != Utf8Kind::kWhole) return false;
    code_points->push_back(step.code_point);
    text.remove_prefix(static_cast<size_t>(step.size));
  }
  return true;
}

}  // namespace

TokenTree::TokenTree(absl::Span<const std::string> pieces, std::vector<int32_t> ids)
    : ids_(std::move(ids)) {
  const auto piece = [&](int32_t id) -> const std::string& {
    return pieces[static_cast<size_t>(id)];
  };
  std::sort(ids_.begin(), ids_.end(), [&](int32_t a, int32_t b) {
    const int order = piece(a).compare(piece(b));  // bytes, as unsigned
    return order != 0 ? order < 0 : a < b;
  });
  std::vector<int32_t> open;  // the nodes of the last token's bytes
  const auto close_to = [&](size_t depth) {
    for (; open.size() > depth; open.pop_back()) {
      nodes_[static_cast<size_t>(open.back())].after = static_cast<int32_t>(nodes_.size());
    }
  };
  for (size_t i = 0; i < ids_.size(); ++i) {
    const std::string& text = piece(ids_[i]);
    size_t common = 0;
    while (common < std::min(open.size(), text.size()) &&
           nodes_[static_cast<size_t>(open[common])].byte == static_cast<uint8_t>(text[common])) {
      ++common;
    }
    close_to(common);
    for (size_t depth = common; depth < text.size(); ++depth) {
      open.push_back(static_cast<int32_t>(nodes_.size()));
      nodes_.push_back({0, static_cast<int32_t>(i), 0, static_cast<uint16_t>(depth + 1),
                        static_cast<uint8_t>(text[depth])});
    }
    Node& last = nodes_[static_cast<size_t>(open.back())];
    if (last.tokens++ == 0) last.first_token = static_cast<int32_t>(i);
    max_depth_ = std::max(max_depth_, static_cast<int>(text.size()));
  }
  close_to(0);
  nodes_.shrink_to_fit();
}

const std::array<CodePointSet, TokenIndex::kKinds>& TokenIndex::Kinds() {
  // Spaces and line ends beyond ASCII, which expressions such as . and \S leave out.
  static const CodePointSet& odd =
      *new CodePointSet{{0x80, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029},
                        {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
  static const CodePointSet& foreign =
      *new CodePointSet(Intersection(Complement(odd), {{0x80, kLastCodePoint}}));
  const auto with_foreign = [](CodePointSet set) {
    set.insert(set.end(), foreign.begin(), foreign.end());
    return Normalized(std::move(set));
  };
  static const auto& kinds = *new std::array<CodePointSet, kKinds>{
      CodePointSet{{'a', 'z'}}, Normalized({{'a', 'z'}, {'A', 'Z'}}),
      Normalized({{'a', 'z'}, {'A', 'Z'}, {' ', ' '}}),
      with_foreign({{'a', 'z'}, {'A', 'Z'}, {' ', ' '}, {'0', '9'}}),
      // What stands for itself in a JSON string: first without odd spaces.
      with_foreign({{' ', '!'}, {'#', '['}, {']', '~'}}),
      Complement({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}), Complement({})};
  return kinds;
}

TokenIndex::TokenIndex(absl::Span<const std::string> pieces)
    : mask_words_((pieces.size() + 31) / 32) {
  std::array<std::array<std::vector<int32_t>, kLengths.size()>, kKinds> ids;
  std::vector<int32_t> rest;
  for (int32_t id = 0; id < static_cast<int32_t>(pieces.size()); ++id) {
    const std::string& piece = pieces[static_cast<size_t>(id)];
    if (piece.empty()) continue;
    std::vector<uint32_t> text;
    const bool valid = Decode(piece, &text);
    const auto kind = std::find_if(Kinds().begin(), Kinds().end(), [&](const CodePointSet& set) {
      return std::all_of(text.begin(), text.end(), [&](uint32_t c) { return Contains(set, c); });
    });
    const auto length = std::find_if(kLengths.begin(), kLengths.end(), [&](int limit) {
      return static_cast<int>(text.size()) <= limit;
    });
    if (!valid || kind == Kinds().end() || length == kLengths.end()) {
      rest.push_back(id);
    } else {
      ids[static_cast<size_t>(kind - Kinds().begin())]
         [static_cast<size_t>(length - kLengths.begin())]
             .push_back(id);
    }
  }
  for (size_t kind = 0; kind < ids.size(); ++kind) {
    std::vector<uint32_t> mask(mask_words_);
    for (size_t length = 0; length < kLengths.size(); ++length) {
      for (const int32_t id : ids[kind][length]) mask[id / 32] |= uint32_t{1} << (id % 32);
      groups_[kind][length] = {mask, TokenTree(pieces, std::move(ids[kind][length]))};
    }
  }
  rest_ = TokenTree(pieces, std::move(rest));
}

}  // namespace facet
