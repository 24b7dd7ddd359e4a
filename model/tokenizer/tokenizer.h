#ifndef FACET_MODEL_TOKENIZER_TOKENIZER_H_
#define FACET_MODEL_TOKENIZER_TOKENIZER_H_

// Text to token ids and back, as a checkpoint's tokenizer.json says: the byte-pair encoding of the
// Gemma family (a normaliser that writes U+2581 for a space, no word splitting, byte fallback).

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace facet {

// A loaded tokenizer.json.
//
// Ids equal those of the Hugging Face tokenizers library for every file that is accepted; a file
// that asks for something this class does not do (another normaliser, pre-tokenizer or model
// type, stripping added tokens, dropout ..) is refused at load with the name of what it asks for.
// Three deliberate differences:
//   - plain text never yields a special token, not even where a merge rule of the file could
//     form one (the id of <unk>, for files without byte fallback, is the exception);
//   - a code point without a piece is an error, where the file has neither byte fallback nor
//     <unk> (the library drops it silently);
//   - nothing is truncated or padded, whatever the file says about it.
//
// Thread-safety: immutable after load; any number of threads may call it at the same time.
// Time: encoding is O(n log n) in the bytes of the text, whatever the text is.
class Tokenizer {
 public:
  struct EncodeOptions {
    // False: text that looks like a control token ("<|turn>") is plain text. True: it becomes that
    // token. Added tokens that the file does not call special are matched either way.
    bool parse_special = false;
  };

  // The largest text that Encode accepts.
  static constexpr size_t kMaxTextBytes = size_t{256} << 20;

  // Reads a tokenizer.json. NotFound / Unavailable when the file cannot be read, InvalidArgument
  // when it is no sound tokenizer file, Unimplemented when it needs what this class does not do.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Load(const std::string& tokenizer_json_path);
  // The same from the content of the file.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Parse(absl::string_view json);

  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // The ids of a text; no <bos> is added (see adds_bos). InvalidArgument when the text is not
  // valid UTF-8 (the message names the byte offset) or longer than kMaxTextBytes.
  absl::StatusOr<std::vector<int32_t>> Encode(absl::string_view text,
                                              const EncodeOptions& options) const;

  // For rendered chat templates: special tokens are matched, but never where they would touch one
  // of `plain_ranges`, the stretches of `text` that came from the caller: byte offsets
  // [begin, end), ascending, not overlapping (else InvalidArgument). The ranges are no other kind
  // of border: pieces form across their ends as in one text.
  absl::StatusOr<std::vector<int32_t>> EncodeWithPlainRanges(
      absl::string_view text, absl::Span<const std::pair<size_t, size_t>> plain_ranges) const;

  // The text of a whole answer: what one IncrementalDecoder yields for these ids. An id outside
  // the vocabulary adds nothing; who takes ids from a client checks them against vocab_size().
  std::string Decode(absl::Span<const int32_t> ids, bool skip_special) const;

  // Ids are 0 .. vocab_size() - 1, added tokens included. The four look-ups below accept any
  // number: an id outside is not special, no byte, and has no text.
  int vocab_size() const;
  bool IsSpecial(int32_t id) const;
  // Whether the token stands for one raw byte ("<0xE2>"); if so, stores it in *value (unless null).
  bool IsByte(int32_t id, uint8_t* value) const;
  // What a token adds to the text: its piece with a space for U+2581. For a byte token the name of
  // its piece ("<0xE2>"); for a special token its name. Valid as long as the tokenizer lives.
  absl::string_view IdToText(int32_t id) const;

  // By the exact piece, as in the file: "<bos>", "\xE2\x96\x81the".
  std::optional<int32_t> TokenToId(absl::string_view piece) const;

  // Whether the file's post-processor puts a special token before a text. Encode never does: the
  // caller adds it where it wants it.
  bool adds_bos() const;

 private:
  struct Parts;
  class Encoding;
  explicit Tokenizer(std::unique_ptr<const Parts> parts);

  absl::StatusOr<std::vector<int32_t>> EncodeStretches(
      absl::string_view text, bool parse_special,
      absl::Span<const std::pair<size_t, size_t>> plain_ranges) const;

  std::unique_ptr<const Parts> parts_;
};

}  // namespace facet

#endif  // FACET_MODEL_TOKENIZER_TOKENIZER_H_
