#ifndef FACET_MODEL_TOKENIZER_BPE_H_
#define FACET_MODEL_TOKENIZER_BPE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/tokenizer/code_points.h"
#include "model/tokenizer/merge_table.h"

namespace facet {

// Byte-pair encoding of normalised text: each code point becomes its piece (or the pieces of its
// bytes, or <unk>); then, while some neighbouring pair is in the merge table, the pair of the
// lowest rank merges, the leftmost among equals (Sennrich et al. 2016, arXiv:1508.07909).
//
// Time: O(n log n) in the code points of the text.
// Thread-safety: Encode is const and may run on any number of threads, each with its own Work.
class Bpe {
  struct Memory;

 public:
  struct MergeRule {  // in the order of their ranks
    int32_t left, right, merged;
  };
  struct Options {
    // 256 ids, one for each byte, or empty. The byte pieces must be in no merge rule, nor <unk>,
    // unless cut_words is false.
    std::vector<int32_t> byte_ids;
    std::optional<int32_t> unk_id;
    bool fuse_unk = false;  // neighbouring unknown code points give one <unk>
    // Cut the text where no piece can lie across, and encode word by word. Changes no id, only
    // the time.
    bool cut_words = true;
  };

  // Buffers of one encoding, kept between calls to spare allocations. To be used with one Bpe only.
  struct Work {
    int64_t steps = 0;  // pairs looked at, a measure of the time: for tests

   private:
    friend class Bpe;
    struct Symbol {  // of a long word: a doubly linked list in an array
      int32_t id;
      int32_t previous, next;  // indices; -1 at the ends
      uint32_t rank;           // of the merge with the next symbol, or kNoRank
    };
    std::vector<int32_t> word;
    std::vector<Symbol> symbols;
    std::vector<uint64_t> heap;
    // While Encode runs: the words that this thread knows, and the end of the text.
    Memory* memory = nullptr;
    const char* end = nullptr;
  };

  Bpe(Options options, CodePointTable code_points, NeighbourSet neighbours,
      absl::Span<const MergeRule> merges);

  // Appends the ids of `text`, which must be valid UTF-8 of less than 2^31 bytes. InvalidArgument
  // if a code point has no piece and there are neither byte pieces nor <unk>.
  absl::Status Encode(absl::string_view text, Work* work, std::vector<int32_t>* ids) const;

 private:
  // Texts repeat their words, and finding one takes one look into a small table instead of a dozen
  // into the large one of the merges. Each thread keeps its words from text to text, so threads
  // share nothing that is written.
  Memory* MemoryOfThread() const;

  // Encodes one word, which depends on nothing around it but *after_unk: whether an unknown token
  // stands before it.
  absl::Status EncodeWord(absl::string_view word, Work* work, bool* after_unk,
                          std::vector<int32_t>* ids) const;
  // Fills work->word with the ids of the word.
  absl::Status SplitAndMerge(absl::string_view word, Work* work, bool* after_unk) const;
  // Fill work->word with the pieces of the code points.
  absl::Status Split(absl::string_view word, Work* work, bool* after_unk) const;
  // Merge the symbols of work->word.
  void MergeShort(Work* work) const;
  void MergeLong(Work* work) const;

  uint64_t number_;  // of this object, among all of the process
  Options options_;
  CodePointTable code_points_;
  NeighbourSet neighbours_;
  MergeTable merges_;
};

}  // namespace facet

#endif  // FACET_MODEL_TOKENIZER_BPE_H_
