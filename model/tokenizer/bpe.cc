#include "model/tokenizer/bpe.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "model/tokenizer/known_words.h"
#include "model/tokenizer/utf8.h"

namespace facet {
namespace {

// Up to here looking at every pair for each merge is faster than a heap.
constexpr size_t kShortWord = 64;

uint64_t NextNumber() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

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

struct Bpe::Memory {
  static constexpr size_t kMaxWordBytes = 31;

  absl::Span<const int32_t> Find(absl::string_view word, size_t readable) {
    if (word.size() <= short_words.kMaxWordBytes) {
      const absl::Span<const int32_t> ids = short_words.Find(word, readable);
      if (!ids.empty()) return ids;
    }
    return words.Find(word, readable);
  }
  void Add(absl::string_view word, absl::Span<const int32_t> ids) {
    if (word.size() <= short_words.kMaxWordBytes && ids.size() <= short_words.kMaxIds) {
      short_words.Add(word, ids);
    } else {
      words.Add(word, ids);
    }
  }

  KnownWords<16, 3, 16> short_words;           // 2 MiB
  KnownWords<kMaxWordBytes + 1, 7, 14> words;  // 1 MiB; those of more ids too
};

Bpe::Memory* Bpe::MemoryOfThread() const {
  static thread_local std::unique_ptr<Memory> memory;
  static thread_local uint64_t owner = 0;
  if (owner != number_) {
    memory = std::make_unique<Memory>();
    owner = number_;
  }
  return memory.get();
}

absl::Status Bpe::Encode(absl::string_view text, Work* work, std::vector<int32_t>* ids) const {
  work->memory = MemoryOfThread();
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
    // Within ASCII, on to where a word may end.
    if (previous < 0x80 && options_.cut_words) {
      while (at < text.size() && neighbours_.HoldsAscii(previous, static_cast<uint8_t>(text[at]))) {
        previous = static_cast<uint8_t>(text[at++]);
      }
    }
  }
  return EncodeWord(text.substr(begin), work, &after_unk, ids);
}

absl::Status Bpe::EncodeWord(absl::string_view word, Work* work, bool* after_unk,
                             std::vector<int32_t>* ids) const {
  // Words with unknown tokens depend on what stands before them.
  const bool may_be_known = word.size() <= Memory::kMaxWordBytes && !options_.unk_id.has_value();
  if (may_be_known) {
    const auto known = work->memory->Find(word, static_cast<size_t>(work->end - word.data()));
    for (const int32_t id : known) ids->push_back(id);
    if (!known.empty()) return absl::OkStatus();
  }
  FACET_RETURN_IF_ERROR(SplitAndMerge(word, work, after_unk));
  ids->insert(ids->end(), work->word.begin(), work->word.end());
  if (may_be_known) work->memory->Add(word, work->word);
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
