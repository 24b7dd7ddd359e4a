#include "model/tokenizer/bpe.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <iterator>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "model/tokenizer/huge_page_allocator.h"
#include "model/tokenizer/utf8.h"

namespace facet {
namespace {

// Up to here looking at every pair for each merge is faster than a heap.
constexpr size_t kShortWord = 64;

constexpr size_t kKnownWords = 65536;  // 2 MiB a thread; a power of two
constexpr size_t kMaxKnownWordBytes = 15;

uint64_t NextNumber() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

// The bytes of a word of at most kMaxKnownWordBytes and its size.
struct WordKey {
  // `readable`: bytes from the word's begin to the end of its text.
  WordKey(absl::string_view word, size_t readable) : parts{0, 0} {
    if (readable >= sizeof(parts)) {  // a copy of a fixed size is much faster
      std::memcpy(parts, word.data(), sizeof(parts));
      const size_t bits = 8 * word.size();
      parts[0] &= bits < 64 ? (uint64_t{1} << bits) - 1 : ~uint64_t{0};
      parts[1] &= bits < 64 ? 0 : (uint64_t{1} << (bits - 64)) - 1;
    } else {
      std::memcpy(parts, word.data(), word.size());
    }
    parts[1] |= uint64_t{word.size()} << 56;
  }
  size_t Hash() const {
    return ((parts[0] ^ (parts[1] >> 27) ^ parts[1]) * 0x9E3779B97F4A7C15u) >> 32;
  }

  uint64_t parts[2];
};

}  // namespace

Bpe::Bpe(Options options, CodePointTable code_points, NeighbourSet neighbours,
         absl::Span<const MergeRule> merges)
    : number_(NextNumber()),
      options_(std::move(options)),
      code_points_(std::move(code_points)),
      neighbours_(std::move(neighbours)),
      merges_(merges.size()) {
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const MergeRule& rule = merges[rank];
    merges_.Set(rule.left, rule.right, static_cast<uint32_t>(rank), rule.merged);
  }
}

Bpe::KnownWord* Bpe::KnownWordsOfThread() const {
  static thread_local std::vector<KnownWord, HugePageAllocator<KnownWord>> words;
  static thread_local uint64_t owner = 0;
  if (owner != number_) {
    words.assign(kKnownWords, KnownWord());
    owner = number_;
  }
  return words.data();
}

absl::Status Bpe::Encode(absl::string_view text, Work* work, std::vector<int32_t>* ids) const {
  work->known_words = KnownWordsOfThread();
  work->end = text.data() + text.size();
  bool after_unk = false;
  uint32_t previous = 0;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const int size = Utf8SizeFromLead(static_cast<uint8_t>(text[at]));
    const uint32_t code_point = DecodeValidUtf8(text.data() + at, size);
    if (at > begin && options_.cut_words && !neighbours_.MayHold(previous, code_point)) {
      FACET_RETURN_IF_ERROR(EncodeWord(text.substr(begin, at - begin), work, &after_unk, ids));
      begin = at;
    }
    previous = code_point;
    at += size;
  }
  return EncodeWord(text.substr(begin), work, &after_unk, ids);
}

absl::Status Bpe::EncodeWord(absl::string_view word, Work* work, bool* after_unk,
                             std::vector<int32_t>* ids) const {
  // Words with unknown tokens depend on what stands before them.
  if (word.size() <= kMaxKnownWordBytes && !options_.unk_id.has_value()) {
    return EncodeShortWord(word, work, ids);
  }
  FACET_RETURN_IF_ERROR(SplitAndMerge(word, work, after_unk));
  ids->insert(ids->end(), work->word.begin(), work->word.end());
  return absl::OkStatus();
}

absl::Status Bpe::EncodeShortWord(absl::string_view word, Work* work,
                                  std::vector<int32_t>* ids) const {
  const WordKey key(word, static_cast<size_t>(work->end - word.data()));
  KnownWord& known = work->known_words[key.Hash() & (kKnownWords - 1)];
  if (known.key[0] == key.parts[0] && known.key[1] == key.parts[1]) {
    for (int32_t i = 0; i < known.size; ++i) ids->push_back(known.ids[i]);
    return absl::OkStatus();
  }
  bool after_unk = false;
  FACET_RETURN_IF_ERROR(SplitAndMerge(word, work, &after_unk));
  ids->insert(ids->end(), work->word.begin(), work->word.end());
  if (work->word.size() <= std::size(known.ids)) {
    known.key[0] = key.parts[0];
    known.key[1] = key.parts[1];
    known.size = static_cast<int32_t>(work->word.size());
    std::copy(work->word.begin(), work->word.end(), known.ids);
  }
  return absl::OkStatus();
}

absl::Status Bpe::SplitAndMerge(absl::string_view word, Work* work, bool* after_unk) const {
  FACET_RETURN_IF_ERROR(Split(word, work, after_unk));
  if (work->word.size() > kShortWord) {
    MergeLong(work);
  } else if (work->word.size() > 1) {
    MergeShort(work);
  }
  return absl::OkStatus();
}

absl::Status Bpe::Split(absl::string_view word, Work* work, bool* after_unk) const {
  work->word.clear();
  for (size_t at = 0; at < word.size();) {
    const int size = Utf8SizeFromLead(static_cast<uint8_t>(word[at]));
    const uint32_t code_point = DecodeValidUtf8(word.data() + at, size);
    const int32_t id = code_points_.Find(code_point);
    if (id != CodePointTable::kNone) {
      work->word.push_back(id);
      *after_unk = false;
    } else if (!options_.byte_ids.empty()) {
      for (int i = 0; i < size; ++i) {
        work->word.push_back(options_.byte_ids[static_cast<uint8_t>(word[at + i])]);
      }
    } else if (options_.unk_id.has_value()) {
      if (!*after_unk || !options_.fuse_unk) work->word.push_back(*options_.unk_id);
      *after_unk = true;
    } else {
      return absl::InvalidArgumentError(
          absl::StrFormat("the tokenizer has no piece for U+%04X, and neither byte pieces nor an "
                          "unknown token",
                          code_point));
    }
    at += size;
  }
  return absl::OkStatus();
}

// Replaces work->word by its merged symbols: looks for the best pair, merges it, and again.
void Bpe::MergeShort(Work* work) const {
  std::array<uint32_t, kShortWord> ranks;  // of each symbol with the next one
  int32_t* const word = work->word.data();
  size_t size = work->word.size();
  for (size_t i = 0; i + 1 < size; ++i) ranks[i] = merges_.FindRank(word[i], word[i + 1]);
  work->steps += size;
  while (size > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < size; ++i) {
      if (ranks[i] < ranks[best]) best = i;
    }
    work->steps += size;
    if (ranks[best] == MergeTable::kNoRank) break;
    word[best] = merges_.merged(ranks[best]);
    std::copy(word + best + 2, word + size, word + best + 1);
    std::copy(ranks.begin() + best + 1, ranks.begin() + size - 1, ranks.begin() + best);
    --size;
    if (best > 0) ranks[best - 1] = merges_.FindRank(word[best - 1], word[best]);
    if (best + 1 < size) ranks[best] = merges_.FindRank(word[best], word[best + 1]);
  }
  work->word.resize(size);
}

// The same for long words: a linked list of symbols, and a heap of (rank, position of the left
// symbol). An entry whose pair has changed since is recognised by its rank: a rank belongs to one
// pair of pieces, and the texts at a position only grow.
void Bpe::MergeLong(Work* work) const {
  const int32_t size = static_cast<int32_t>(work->word.size());
  auto& symbols = work->symbols;
  auto& heap = work->heap;
  symbols.resize(size);
  heap.clear();
  const auto entry = [](uint32_t rank, int32_t at) {
    return uint64_t{rank} << 32 | static_cast<uint32_t>(at);
  };
  for (int32_t i = 0; i < size; ++i) {
    const bool last = i + 1 == size;
    const uint32_t rank =
        last ? MergeTable::kNoRank : merges_.FindRank(work->word[i], work->word[i + 1]);
    symbols[i] = {work->word[i], i - 1, last ? -1 : i + 1, rank};
    if (rank != MergeTable::kNoRank) heap.push_back(entry(rank, i));
  }
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  work->steps += size;

  const auto refresh = [&](int32_t at) {
    Work::Symbol& symbol = symbols[at];
    symbol.rank = symbol.next < 0 ? MergeTable::kNoRank
                                  : merges_.FindRank(symbol.id, symbols[symbol.next].id);
    if (symbol.rank == MergeTable::kNoRank) return;
    heap.push_back(entry(symbol.rank, at));
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  while (!heap.empty()) {
    const uint64_t top = heap.front();
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    heap.pop_back();
    ++work->steps;
    const int32_t at = static_cast<int32_t>(top & 0xFFFFFFFF);
    Work::Symbol& left = symbols[at];
    if (left.rank != top >> 32) continue;  // the pair has changed, or the symbol is gone
    Work::Symbol& right = symbols[left.next];
    left.id = merges_.merged(left.rank);
    left.next = right.next;
    right.rank = MergeTable::kNoRank;
    if (left.next >= 0) symbols[left.next].previous = at;
    refresh(at);
    if (left.previous >= 0) refresh(left.previous);
  }

  size_t out = 0;
  for (int32_t at = 0; at >= 0; at = symbols[at].next) work->word[out++] = symbols[at].id;
  work->word.resize(out);
}

}  // namespace facet
