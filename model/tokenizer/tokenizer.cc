#include "model/tokenizer/tokenizer.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/bpe.h"
#include "model/tokenizer/code_points.h"
#include "model/tokenizer/incremental_decoder.h"
#include "model/tokenizer/json_reader.h"
#include "model/tokenizer/merge_table.h"
#include "model/tokenizer/settings.h"
#include "model/tokenizer/utf8.h"
#include "model/tokenizer/vocabulary.h"

namespace facet {
namespace {

using Ranges = absl::Span<const std::pair<size_t, size_t>>;

// What decoding needs to know of an id.
struct Token {
  uint32_t text_offset = 0, text_size = 0;  // in `texts`
  bool special = false;
  bool is_byte = false;
  uint8_t byte = 0;
};

absl::Status Invalid(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("tokenizer file: ", what));
}

absl::StatusOr<Vocabulary> BuildVocabulary(const RawTokenizerFile& raw,
                                           const TokenizerSettings& settings) {
  Vocabulary vocabulary;
  vocabulary.Reserve(raw.vocab.size() + settings.added_tokens.size(), raw.vocab_text.size());
  for (const RawTokenizerFile::Piece& piece : raw.vocab) {
    FACET_RETURN_IF_ERROR(vocabulary.Add(raw.PieceText(piece), piece.id));
  }
  for (const TokenizerSettings::AddedToken& token : settings.added_tokens) {
    const std::optional<int32_t> id = vocabulary.Find(token.content);
    if (!id.has_value()) {
      FACET_RETURN_IF_ERROR(vocabulary.Add(token.content, token.id));
    } else if (*id != token.id) {
      return Invalid(absl::StrCat("added token ", QuotePiece(token.content), " has id ", token.id,
                                  ", but the piece has id ", *id));
    }
  }
  FACET_RETURN_IF_ERROR(vocabulary.Seal());
  return vocabulary;
}

// The ids of "<0x00>" .. "<0xFF>"; empty if the file has none of them or does not use them.
absl::StatusOr<std::vector<int32_t>> FindBytePieces(const Vocabulary& vocabulary,
                                                    const TokenizerSettings& settings) {
  std::vector<int32_t> ids;
  if (!settings.byte_fallback) return ids;
  std::string missing;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string piece = absl::StrFormat("<0x%02X>", byte);
    if (const std::optional<int32_t> id = vocabulary.Find(piece)) {
      ids.push_back(*id);
    } else {
      missing = piece;
    }
  }
  if (ids.empty() || ids.size() == 256) return ids;
  return Invalid(absl::StrCat("byte_fallback is on, but only ", ids.size(),
                              " of the 256 byte pieces are there; ", missing, " is missing"));
}

absl::StatusOr<std::vector<Token>> DescribeTokens(const Vocabulary& vocabulary,
                                                  const TokenizerSettings& settings,
                                                  absl::Span<const int32_t> byte_ids,
                                                  std::string* texts) {
  constexpr size_t kMaxTexts = size_t{1} << 30;
  std::vector<Token> tokens(vocabulary.size());
  for (const TokenizerSettings::AddedToken& added : settings.added_tokens) {
    tokens[added.id].special |= added.special;
  }
  for (size_t byte = 0; byte < byte_ids.size(); ++byte) {
    tokens[byte_ids[byte]].is_byte = true;
    tokens[byte_ids[byte]].byte = static_cast<uint8_t>(byte);
  }
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    std::string text(vocabulary.piece(id));
    if (!tokens[id].is_byte) text = ApplyReplacements(settings.decoder, std::move(text));
    if (text.size() > kMaxTexts - texts->size()) {
      return Invalid(absl::StrCat("decoder makes more than ", kMaxTexts, " bytes of the pieces"));
    }
    tokens[id].text_offset = static_cast<uint32_t>(texts->size());
    tokens[id].text_size = static_cast<uint32_t>(text.size());
    *texts += text;
  }
  return tokens;
}

absl::StatusOr<int32_t> FindMergePart(const Vocabulary& vocabulary, size_t index,
                                      absl::string_view text) {
  if (const std::optional<int32_t> id = vocabulary.Find(text)) return *id;
  return Invalid(
      absl::StrCat("model.merges[", index, "] names ", QuotePiece(text), ", which is no piece"));
}

// The merge rules as ids. Leaves out those that would make a special or a byte token from the
// text of its name: a user could type it.
absl::StatusOr<std::vector<Bpe::MergeRule>> ResolveMerges(const RawTokenizerFile& raw,
                                                          const Vocabulary& vocabulary,
                                                          absl::Span<const Token> tokens) {
  std::vector<Bpe::MergeRule> rules;
  rules.reserve(raw.merges.size());
  std::vector<size_t> left_out;
  for (size_t i = 0; i < raw.merges.size(); ++i) {
    const RawTokenizerFile::Merge& merge = raw.merges[i];
    Bpe::MergeRule rule;
    FACET_ASSIGN_OR_RETURN(rule.left, FindMergePart(vocabulary, i, raw.LeftText(merge)));
    FACET_ASSIGN_OR_RETURN(rule.right, FindMergePart(vocabulary, i, raw.RightText(merge)));
    FACET_ASSIGN_OR_RETURN(rule.merged, FindMergePart(vocabulary, i, raw.MergedText(merge)));
    if (tokens[rule.merged].special || tokens[rule.merged].is_byte) {
      left_out.push_back(i);
      continue;
    }
    rules.push_back(rule);
  }
  if (!left_out.empty()) {
    FACET_LOG(Warning) << "tokenizer file: left out " << left_out.size()
                       << " merges that would form control tokens from plain text, the first is "
                       << "model.merges[" << left_out[0] << "], which forms "
                       << QuotePiece(raw.MergedText(raw.merges[left_out[0]]));
  }
  return rules;
}

// The neighbouring code points inside all pieces that merging can form.
NeighbourSet FindNeighbours(const Vocabulary& vocabulary, absl::Span<const Bpe::MergeRule> rules) {
  NeighbourSet neighbours;
  std::vector<bool> seen(vocabulary.size());
  for (const Bpe::MergeRule& rule : rules) {
    if (seen[rule.merged]) continue;
    seen[rule.merged] = true;
    const absl::string_view piece = vocabulary.piece(rule.merged);
    uint32_t previous = 0;
    for (size_t at = 0; at < piece.size();) {
      const int size = Utf8SizeFromLead(static_cast<uint8_t>(piece[at]));
      const uint32_t code_point = DecodeValidUtf8(piece.data() + at, size);
      if (at > 0) neighbours.Add(previous, code_point);
      previous = code_point;
      at += size;
    }
  }
  return neighbours;
}

// The pieces of one code point. A special token of one character is left to byte fallback.
CodePointTable FindCodePoints(const Vocabulary& vocabulary, absl::Span<const Token> tokens) {
  CodePointTable table;
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    const absl::string_view piece = vocabulary.piece(id);
    const int size = Utf8SizeFromLead(static_cast<uint8_t>(piece[0]));
    if (piece.size() != static_cast<size_t>(size) || tokens[id].special) continue;
    table.Set(DecodeValidUtf8(piece.data(), size), id);
  }
  return table;
}

// The normaliser of the family, " " to U+2581, is one look less in the table of code points: the
// space gets that one's piece, and nothing is left to apply to texts. Any other stays.
void MoveIntoTable(std::vector<TokenizerSettings::Replacement>* normalizer,
                   CodePointTable* code_points) {
  if (normalizer->size() != 1) return;
  const TokenizerSettings::Replacement& only = normalizer->front();
  const int32_t id = code_points->Find(NeighbourSet::kSpaceOfPieces);
  if (only.from != " " || only.to != "\u2581" || id == CodePointTable::kNone) return;
  code_points->Set(' ', id);
  normalizer->clear();
}

absl::StatusOr<Bpe> BuildBpe(const RawTokenizerFile& raw, const TokenizerSettings& settings,
                             const Vocabulary& vocabulary, absl::Span<const Token> tokens,
                             std::vector<int32_t> byte_ids, CodePointTable code_points) {
  if (static_cast<size_t>(vocabulary.size()) > MergeTable::kMaxIds ||
      raw.merges.size() > MergeTable::kMaxMerges) {
    return absl::UnimplementedError(
        absl::StrCat("tokenizer file: ", vocabulary.size(), " pieces and ", raw.merges.size(),
                     " merges; at most ", MergeTable::kMaxIds, " and ", MergeTable::kMaxMerges));
  }
  FACET_ASSIGN_OR_RETURN(const std::vector<Bpe::MergeRule> rules,
                         ResolveMerges(raw, vocabulary, tokens));
  Bpe::Options options;
  options.byte_ids = std::move(byte_ids);
  options.fuse_unk = settings.fuse_unk;
  if (options.byte_ids.empty() && settings.unk_token.has_value()) {
    options.unk_id = vocabulary.Find(*settings.unk_token);
    if (!options.unk_id.has_value()) {
      return Invalid(
          absl::StrCat("model.unk_token ", QuotePiece(*settings.unk_token), " is no piece"));
    }
  }
  for (const Bpe::MergeRule& rule : rules) {
    for (const int32_t part : {rule.left, rule.right}) {
      // Its piece is not the text it stands for, so pieces say nothing about where to cut.
      if (tokens[part].is_byte || part == options.unk_id) options.cut_words = false;
    }
  }
  return Bpe(std::move(options), std::move(code_points), FindNeighbours(vocabulary, rules), rules);
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) {
    const int error = errno;
    const std::string message = absl::StrCat(path, ": ", std::generic_category().message(error));
    return error == ENOENT ? absl::NotFoundError(message) : absl::UnavailableError(message);
  }
  const std::streamoff size = file.tellg();
  if (size < 0 || static_cast<uint64_t>(size) > kMaxTokenizerFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": no regular file of at most ", kMaxTokenizerFileBytes, " bytes"));
  }
  std::string content(static_cast<size_t>(size), '\0');
  file.seekg(0);
  if (!file.read(content.data(), size)) {
    return absl::UnavailableError(absl::StrCat(path, ": cannot be read"));
  }
  return content;
}

absl::Status CheckPlainRanges(Ranges ranges, size_t text_size) {
  size_t end = 0;
  for (size_t i = 0; i < ranges.size(); ++i) {
    const auto& range = ranges[i];
    if (range.first < end || range.second < range.first || range.second > text_size) {
      return absl::InvalidArgumentError(absl::StrCat("plain range ", i, " is [", range.first, ", ",
                                                     range.second,
                                                     "): ranges must ascend, not "
                                                     "overlap, and end within the ",
                                                     text_size, " bytes of the text"));
    }
    end = range.second;
  }
  return absl::OkStatus();
}

}  // namespace

struct Tokenizer::Parts {
  TokenizerSettings settings;
  Vocabulary vocabulary;
  std::vector<Token> tokens;  // by id
  std::string texts;
  AddedTokenMatcher raw_tokens;         // looked for first
  AddedTokenMatcher normalized_tokens;  // looked for in what the first leave over
  std::optional<Bpe> bpe;
};

// One call of Encode.
class Tokenizer::Encoding {
 public:
  Encoding(const Parts& parts, absl::string_view text, SpecialTokenRule rule)
      : parts_(parts), text_(text), raw_rule_(rule), normalized_rule_(rule) {}

  absl::StatusOr<std::vector<int32_t>> Run() && {
    ids_.reserve(text_.size() / 4 + 1);  // what most texts need
    FACET_RETURN_IF_ERROR(Cut(parts_.raw_tokens, &raw_rule_, 0, text_.size(),
                              [this](size_t from, size_t to) { return Remainder(from, to); }));
    return std::move(ids_);
  }

 private:
  // Appends the tokens that `matcher` finds in text_[from, to), and lets `encode` append what is
  // between them.
  template <typename EncodeFn>
  absl::Status Cut(const AddedTokenMatcher& matcher, SpecialTokenRule* rule, size_t from, size_t to,
                   EncodeFn encode) {
    if (!matcher.Empty(*rule)) {
      while (const auto match = matcher.Next(text_, from, to, rule)) {
        FACET_RETURN_IF_ERROR(encode(from, match->begin));
        ids_.push_back(match->id);
        from = match->end;
      }
    }
    return encode(from, to);
  }

  absl::Status Remainder(size_t from, size_t to) {
    return Cut(parts_.normalized_tokens, &normalized_rule_, from, to,
               [this](size_t from, size_t to) { return Stretch(text_.substr(from, to - from)); });
  }

  absl::Status Stretch(absl::string_view text) {
    if (text.empty()) return absl::OkStatus();
    if (parts_.settings.normalizer.empty()) return parts_.bpe->Encode(text, &work_, &ids_);
    const std::string normalized = ApplyReplacements(parts_.settings.normalizer, std::string(text));
    if (normalized.size() > std::numeric_limits<int32_t>::max()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "text is ", normalized.size(), " bytes long after the normalizer; the limit is ",
          std::numeric_limits<int32_t>::max()));
    }
    return parts_.bpe->Encode(normalized, &work_, &ids_);
  }

  const Parts& parts_;
  absl::string_view text_;
  SpecialTokenRule raw_rule_, normalized_rule_;
  Bpe::Work work_;
  std::vector<int32_t> ids_;
};

Tokenizer::Tokenizer(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Load(const std::string& path) {
  FACET_ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Parse(content);
  if (!tokenizer.ok()) {
    return absl::Status(tokenizer.status().code(),
                        absl::StrCat(path, ": ", tokenizer.status().message()));
  }
  return tokenizer;
}

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Parse(absl::string_view json) {
  FACET_ASSIGN_OR_RETURN(const RawTokenizerFile raw, ReadTokenizerJson(json));
  auto parts = std::make_unique<Parts>();
  FACET_ASSIGN_OR_RETURN(parts->settings, ParseTokenizerSettings(raw.rest));
  FACET_ASSIGN_OR_RETURN(parts->vocabulary, BuildVocabulary(raw, parts->settings));
  FACET_ASSIGN_OR_RETURN(std::vector<int32_t> byte_ids,
                         FindBytePieces(parts->vocabulary, parts->settings));
  FACET_ASSIGN_OR_RETURN(
      parts->tokens, DescribeTokens(parts->vocabulary, parts->settings, byte_ids, &parts->texts));
  CodePointTable code_points = FindCodePoints(parts->vocabulary, parts->tokens);
  MoveIntoTable(&parts->settings.normalizer, &code_points);
  FACET_ASSIGN_OR_RETURN(parts->bpe,
                         BuildBpe(raw, parts->settings, parts->vocabulary, parts->tokens,
                                  std::move(byte_ids), std::move(code_points)));
  for (const TokenizerSettings::AddedToken& token : parts->settings.added_tokens) {
    (token.normalized ? parts->normalized_tokens : parts->raw_tokens)
        .Add(token.content, token.id, token.special);
  }
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(parts)));
}

absl::StatusOr<std::vector<int32_t>> Tokenizer::Encode(absl::string_view text,
                                                       const EncodeOptions& options) const {
  return EncodeStretches(text, options.parse_special, {});
}

absl::StatusOr<std::vector<int32_t>> Tokenizer::EncodeWithPlainRanges(absl::string_view text,
                                                                      Ranges plain_ranges) const {
  FACET_RETURN_IF_ERROR(CheckPlainRanges(plain_ranges, text.size()));
  return EncodeStretches(text, /*parse_special=*/true, plain_ranges);
}

absl::StatusOr<std::vector<int32_t>> Tokenizer::EncodeStretches(absl::string_view text,
                                                                bool parse_special,
                                                                Ranges plain_ranges) const {
  if (text.size() > kMaxTextBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("text is ", text.size(), " bytes long; the limit is ", kMaxTextBytes));
  }
  if (const std::optional<size_t> offset = FindInvalidUtf8(text)) {
    return absl::InvalidArgumentError(
        absl::StrCat("text is not valid UTF-8 at byte offset ", *offset));
  }
  return Encoding(*parts_, text, {parse_special, plain_ranges}).Run();
}

std::string Tokenizer::Decode(absl::Span<const int32_t> ids, bool skip_special) const {
  std::string text;
  text.reserve(4 * ids.size());
  IncrementalDecoder decoder(this, skip_special);
  for (const int32_t id : ids) decoder.Append(id, &text);
  text += decoder.Finish();
  return text;
}

int Tokenizer::vocab_size() const { return parts_->vocabulary.size(); }

bool Tokenizer::IsSpecial(int32_t id) const {
  return id >= 0 && id < vocab_size() && parts_->tokens[id].special;
}

bool Tokenizer::IsByte(int32_t id, uint8_t* value) const {
  if (id < 0 || id >= vocab_size() || !parts_->tokens[id].is_byte) return false;
  if (value != nullptr) *value = parts_->tokens[id].byte;
  return true;
}

absl::string_view Tokenizer::IdToText(int32_t id) const {
  if (id < 0 || id >= vocab_size()) return {};
  const Token& token = parts_->tokens[id];
  return absl::string_view(parts_->texts).substr(token.text_offset, token.text_size);
}

std::optional<int32_t> Tokenizer::TokenToId(absl::string_view piece) const {
  return parts_->vocabulary.Find(piece);
}

bool Tokenizer::adds_bos() const { return parts_->settings.adds_bos; }

}  // namespace facet
