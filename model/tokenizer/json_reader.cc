#include "model/tokenizer/json_reader.h"

#include <exception>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "model/tokenizer/vocabulary.h"

namespace facet {
namespace {

using Json = nlohmann::json;

// Receives the parser's events. Everything becomes a tree of JSON values, except the content of
// model.vocab and model.merges. Each event returns false to stop; status() then says why.
class Handler final : public nlohmann::json_sax<Json> {
 public:
  explicit Handler(RawTokenizerFile* file) : file_(file) {}

  const absl::Status& status() const { return status_; }

  bool null() override { return Value(Json(nullptr)); }
  bool boolean(bool value) override { return Value(Json(value)); }
  bool number_integer(number_integer_t value) override {
    if (table_ == Table::kVocab) return BadId(absl::StrCat(value));
    return Value(Json(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (table_ != Table::kVocab) return Value(Json(value));
    if (value >= kMaxPieces) return BadId(absl::StrCat(value));
    file_->vocab.back().id = static_cast<int32_t>(value);
    return true;
  }
  bool number_float(number_float_t value, const string_t& text) override {
    if (table_ == Table::kVocab) return BadId(text);
    return Value(Json(value));
  }
  bool string(string_t& value) override {
    switch (table_) {
      case Table::kMerges:
        return MergeString(value);
      case Table::kMergePair:
        return MergePart(value);
      default:
        return Value(Json(std::move(value)));
    }
  }
  bool binary(binary_t&) override { return Fail("binary value"); }

  bool start_object(std::size_t) override {
    if (table_ != Table::kNone) return Misplaced("an object");
    if (AtModelKey("vocab")) {
      if (std::exchange(file_->has_vocab, true)) return Fail("model.vocab appears twice");
      table_ = Table::kVocab;
      return true;
    }
    return Open(Json::object());
  }
  bool key(string_t& key) override {
    if (table_ == Table::kVocab) return PieceKey(key);
    if (open_.back()->contains(key)) return Fail(absl::StrCat("key \"", key, "\" appears twice"));
    keys_.back() = std::move(key);
    return true;
  }
  bool end_object() override {
    if (table_ == Table::kVocab) {
      table_ = Table::kNone;
      return true;
    }
    return Close();
  }
  bool start_array(std::size_t) override {
    if (table_ == Table::kMerges) {
      table_ = Table::kMergePair;
      parts_ = 0;
      return true;
    }
    if (table_ != Table::kNone) return Misplaced("an array");
    if (AtModelKey("merges")) {
      if (std::exchange(file_->has_merges, true)) return Fail("model.merges appears twice");
      table_ = Table::kMerges;
      return true;
    }
    return Open(Json::array());
  }
  bool end_array() override {
    switch (table_) {
      case Table::kMergePair:
        if (parts_ != 2) return BadMerge(absl::StrCat("has ", parts_, " parts instead of 2"));
        table_ = Table::kMerges;
        return true;
      case Table::kMerges:
        table_ = Table::kNone;
        return true;
      default:
        return Close();
    }
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    if (status_.ok()) {
      Fail(absl::StrCat("not valid JSON at byte ", position, ": ", error.what()));
    }
    return false;
  }

 private:
  enum class Table { kNone, kVocab, kMerges, kMergePair };

  bool Fail(absl::string_view message) {
    status_ = absl::InvalidArgumentError(absl::StrCat("tokenizer file: ", message));
    return false;
  }
  bool Misplaced(absl::string_view what) {
    if (table_ == Table::kVocab) return BadId(what);
    return BadMerge(absl::StrCat("holds ", what));
  }
  bool BadId(absl::string_view what) {
    const RawTokenizerFile::Piece& piece = file_->vocab.back();
    return Fail(absl::StrCat("model.vocab: piece ", QuotePiece(file_->PieceText(piece)), " has id ",
                             what, "; ids are whole numbers below ", kMaxPieces));
  }
  bool BadMerge(absl::string_view what) {
    const bool added = table_ == Table::kMergePair && parts_ > 0;  // with its first part
    const size_t index = file_->merges.size() - (added ? 1 : 0);
    return Fail(absl::StrCat("model.merges[", index, "] ", what));
  }

  bool PieceKey(const std::string& piece) {
    if (piece.empty()) return Fail("model.vocab: a piece is empty");
    if (piece.size() > kMaxPieceBytes) {
      return Fail(absl::StrCat("model.vocab: a piece of ", piece.size(), " bytes; the limit is ",
                               kMaxPieceBytes));
    }
    if (file_->vocab.size() == kMaxPieces) {
      return Fail(absl::StrCat("model.vocab: more than ", kMaxPieces, " pieces"));
    }
    file_->vocab.push_back(
        {static_cast<uint32_t>(file_->vocab_text.size()), static_cast<uint32_t>(piece.size()), 0});
    file_->vocab_text += piece;
    return true;
  }

  bool AddMerge(absl::string_view left, absl::string_view right) {
    if (file_->merges.size() == kMaxMerges) {
      return Fail(absl::StrCat("model.merges: more than ", kMaxMerges, " merges"));
    }
    file_->merges.push_back({static_cast<uint32_t>(file_->merge_text.size()),
                             static_cast<uint32_t>(left.size()),
                             static_cast<uint32_t>(right.size())});
    file_->merge_text.append(left.data(), left.size());
    file_->merge_text.append(right.data(), right.size());
    return true;
  }
  bool MergeString(absl::string_view text) {
    const size_t space = text.find(' ');
    if (space == absl::string_view::npos || text.find(' ', space + 1) != absl::string_view::npos) {
      return BadMerge("is no pair of two pieces with one space between");
    }
    const absl::string_view left = text.substr(0, space), right = text.substr(space + 1);
    if (!CheckMergePart(left) || !CheckMergePart(right)) return false;
    return AddMerge(left, right);
  }
  bool MergePart(absl::string_view text) {
    if (!CheckMergePart(text)) return false;
    if (++parts_ == 1) return AddMerge(text, "");
    if (parts_ > 2) return true;  // end_array refuses it
    file_->merges.back().right_size = static_cast<uint32_t>(text.size());
    file_->merge_text.append(text.data(), text.size());
    return true;
  }
  bool CheckMergePart(absl::string_view text) {
    if (text.empty()) return BadMerge("has an empty part");
    if (text.size() > kMaxPieceBytes) {
      return BadMerge(
          absl::StrCat("has a part of ", text.size(), " bytes; the limit is ", kMaxPieceBytes));
    }
    return true;
  }

  bool AtModelKey(absl::string_view name) const {
    return keys_.size() == 2 && keys_[0] == "model" && keys_[1] == name && open_[1]->is_object();
  }

  // Puts a value where the parser stands; returns its address.
  Json* Place(Json value) {
    if (open_.empty()) {
      file_->rest = std::move(value);
      return &file_->rest;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &(parent[keys_.back()] = std::move(value));
  }
  bool Value(Json value) {
    if (table_ == Table::kVocab) return BadId(value.type_name());
    if (table_ != Table::kNone) return BadMerge(absl::StrCat("holds a ", value.type_name()));
    if (++values_ > kMaxOtherJsonValues) {
      return Fail(absl::StrCat("more than ", kMaxOtherJsonValues, " values besides the model"));
    }
    Place(std::move(value));
    return true;
  }
  bool Open(Json value) {
    if (open_.size() == kMaxJsonDepth) {
      return Fail(absl::StrCat("nested deeper than ", kMaxJsonDepth));
    }
    if (++values_ > kMaxOtherJsonValues) {
      return Fail(absl::StrCat("more than ", kMaxOtherJsonValues, " values besides the model"));
    }
    open_.push_back(Place(std::move(value)));
    keys_.emplace_back();
    return true;
  }
  bool Close() {
    open_.pop_back();
    keys_.pop_back();
    return true;
  }

  RawTokenizerFile* file_;
  absl::Status status_;
  Table table_ = Table::kNone;
  int parts_ = 0;                  // of the merge pair being read
  size_t values_ = 0;              // placed in the tree
  std::vector<Json*> open_;        // containers being read, outermost first
  std::vector<std::string> keys_;  // the last key of each (empty for arrays)
};

}  // namespace

absl::StatusOr<RawTokenizerFile> ReadTokenizerJson(absl::string_view json) {
  if (json.size() > kMaxTokenizerFileBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tokenizer file: ", json.size(), " bytes; the limit is ", kMaxTokenizerFileBytes));
  }
  RawTokenizerFile file;
  Handler handler(&file);
  try {
    if (!Json::sax_parse(json.data(), json.data() + json.size(), &handler)) {
      return handler.status().ok() ? absl::InvalidArgumentError("tokenizer file: not valid JSON")
                                   : handler.status();
    }
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("tokenizer file: ", error.what()));
  }
  if (!file.rest.is_object()) {
    return absl::InvalidArgumentError("tokenizer file: not a JSON object");
  }
  if (!file.has_vocab) {
    return absl::InvalidArgumentError("tokenizer file: model.vocab is not an object or missing");
  }
  if (!file.has_merges) {
    return absl::InvalidArgumentError("tokenizer file: model.merges is not an array or missing");
  }
  return file;
}

}  // namespace facet
