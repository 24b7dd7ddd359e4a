#include "model/tokenizer/settings.h"

#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "model/tokenizer/utf8.h"

namespace facet {
namespace {

using Json = nlohmann::json;
using Replacement = TokenizerSettings::Replacement;

// So that a text cannot grow without measure.
constexpr size_t kMaxReplacementBytes = 32;

absl::Status Invalid(absl::string_view where, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("tokenizer file: ", where, " ", what));
}

absl::Status Unsupported(absl::string_view where, absl::string_view what) {
  return absl::UnimplementedError(absl::StrCat("tokenizer file: ", where, " ", what));
}

// A member of an object; null when it is missing.
const Json& Member(const Json& object, const char* key) {
  static const Json* const null = new Json(nullptr);
  const auto it = object.find(key);
  return it == object.end() ? *null : *it;
}

absl::StatusOr<std::string> StringMember(const Json& object, const char* key,
                                         absl::string_view where) {
  const Json& value = Member(object, key);
  if (!value.is_string()) return Invalid(absl::StrCat(where, ".", key), "is not a string");
  return value.get<std::string>();
}

absl::StatusOr<bool> BoolMember(const Json& object, const char* key, bool if_missing,
                                absl::string_view where) {
  const Json& value = Member(object, key);
  if (value.is_null()) return if_missing;
  if (!value.is_boolean()) return Invalid(absl::StrCat(where, ".", key), "is not true or false");
  return value.get<bool>();
}

// The "type" of a component such as {"type": "Replace", ..}.
absl::StatusOr<std::string> TypeOf(const Json& component, absl::string_view where) {
  if (!component.is_object()) return Invalid(where, "is not an object");
  return StringMember(component, "type", where);
}

// The members of {"type": "Sequence", `key`: [..]}.
absl::StatusOr<const Json*> SequenceMembers(const Json& component, const char* key,
                                            absl::string_view where) {
  const Json& members = Member(component, key);
  if (!members.is_array()) return Invalid(absl::StrCat(where, ".", key), "is not an array");
  return &members;
}

// The literal of {"pattern": {"String": ..}}.
absl::StatusOr<std::string> LiteralPattern(const Json& component, absl::string_view where) {
  const Json& pattern = Member(component, "pattern");
  if (!pattern.is_object()) return Invalid(absl::StrCat(where, ".pattern"), "is not an object");
  if (pattern.contains("Regex")) {
    return Unsupported(absl::StrCat(where, ".pattern"), "is a Regex; only String is supported");
  }
  FACET_ASSIGN_OR_RETURN(std::string text, StringMember(pattern, "String", where));
  if (text.empty()) return Invalid(absl::StrCat(where, ".pattern"), "is empty");
  return text;
}

absl::StatusOr<Replacement> ParseReplace(const Json& component, absl::string_view where) {
  FACET_ASSIGN_OR_RETURN(std::string from, LiteralPattern(component, where));
  FACET_ASSIGN_OR_RETURN(std::string to, StringMember(component, "content", where));
  if (to.size() > kMaxReplacementBytes) {
    return Invalid(
        absl::StrCat(where, ".content"),
        absl::StrCat("is ", to.size(), " bytes long; the limit is ", kMaxReplacementBytes));
  }
  return Replacement{std::move(from), std::move(to)};
}

absl::Status ParseNormalizer(const Json& component, absl::string_view where,
                             std::vector<Replacement>* out) {
  if (component.is_null()) return absl::OkStatus();
  FACET_ASSIGN_OR_RETURN(const std::string type, TypeOf(component, where));
  if (type == "Replace") {
    FACET_ASSIGN_OR_RETURN(Replacement replacement, ParseReplace(component, where));
    out->push_back(std::move(replacement));
    return absl::OkStatus();
  }
  if (type == "Sequence") {
    FACET_ASSIGN_OR_RETURN(const Json* members, SequenceMembers(component, "normalizers", where));
    for (const Json& member : *members) {
      FACET_RETURN_IF_ERROR(ParseNormalizer(member, where, out));
    }
    return absl::OkStatus();
  }
  return Unsupported(where, absl::StrCat("is of type ", type,
                                         "; only Replace and a Sequence of Replace are supported"));
}

bool LeavesSpaces(const std::vector<Replacement>& normalizer) {
  bool spaces = true;
  for (const Replacement& r : normalizer) {
    const bool writes_spaces = r.to.find(' ') != std::string::npos;
    spaces = writes_spaces || (spaces && r.from != " ");
  }
  return spaces;
}

// Only what never splits anything is supported: a Split on spaces that the normaliser has removed.
absl::Status CheckPreTokenizer(const Json& component, absl::string_view where, bool spaces) {
  if (component.is_null()) return absl::OkStatus();
  FACET_ASSIGN_OR_RETURN(const std::string type, TypeOf(component, where));
  if (type == "Sequence") {
    FACET_ASSIGN_OR_RETURN(const Json* members, SequenceMembers(component, "pretokenizers", where));
    for (const Json& member : *members) {
      FACET_RETURN_IF_ERROR(CheckPreTokenizer(member, where, spaces));
    }
    return absl::OkStatus();
  }
  if (type != "Split") {
    return Unsupported(where, absl::StrCat("is of type ", type, "; only Split is supported"));
  }
  FACET_ASSIGN_OR_RETURN(const std::string pattern, LiteralPattern(component, where));
  FACET_ASSIGN_OR_RETURN(const bool invert, BoolMember(component, "invert", false, where));
  if (pattern != " " || spaces || invert) {
    return Unsupported(where, absl::StrCat("splits on \"", absl::Utf8SafeCHexEscape(pattern),
                                           "\"; only a Split on a space that the normalizer has "
                                           "replaced is supported"));
  }
  return absl::OkStatus();
}

absl::Status ParsePostProcessor(const Json& component, absl::string_view where, bool* adds_bos) {
  if (component.is_null()) return absl::OkStatus();
  FACET_ASSIGN_OR_RETURN(const std::string type, TypeOf(component, where));
  if (type == "Sequence") {
    FACET_ASSIGN_OR_RETURN(const Json* members, SequenceMembers(component, "processors", where));
    for (const Json& member : *members) {
      FACET_RETURN_IF_ERROR(ParsePostProcessor(member, where, adds_bos));
    }
    return absl::OkStatus();
  }
  if (type != "TemplateProcessing") {
    return Unsupported(where,
                       absl::StrCat("is of type ", type, "; only TemplateProcessing is supported"));
  }
  FACET_ASSIGN_OR_RETURN(const Json* single, SequenceMembers(component, "single", where));
  if (!single->empty() && single->front().is_object() && single->front().contains("SpecialToken")) {
    *adds_bos = true;
  }
  return absl::OkStatus();
}

absl::Status ParseDecoder(const Json& component, absl::string_view where,
                          std::vector<Replacement>* out) {
  FACET_ASSIGN_OR_RETURN(const std::string type, TypeOf(component, where));
  if (type == "ByteFallback" || type == "Fuse") return absl::OkStatus();  // decoding always does
  if (type == "Replace") {
    FACET_ASSIGN_OR_RETURN(Replacement replacement, ParseReplace(component, where));
    out->push_back(std::move(replacement));
    return absl::OkStatus();
  }
  if (type == "Sequence") {
    FACET_ASSIGN_OR_RETURN(const Json* members, SequenceMembers(component, "decoders", where));
    for (const Json& member : *members) {
      FACET_RETURN_IF_ERROR(ParseDecoder(member, where, out));
    }
    return absl::OkStatus();
  }
  return Unsupported(where, absl::StrCat("is of type ", type,
                                         "; only Replace, ByteFallback and Fuse are supported"));
}

// Without a decoder the text is what the normaliser would have made the pieces from.
std::vector<Replacement> Reversed(const std::vector<Replacement>& normalizer) {
  std::vector<Replacement> reversed;
  for (auto it = normalizer.rbegin(); it != normalizer.rend(); ++it) {
    if (!it->to.empty()) reversed.push_back({it->to, it->from});
  }
  return reversed;
}

bool SharesCodePoint(absl::string_view a, absl::string_view b) {
  while (!a.empty()) {
    const int size = Utf8SizeFromLead(static_cast<uint8_t>(a[0]));
    if (b.find(a.substr(0, size)) != absl::string_view::npos) return true;
    a.remove_prefix(size);
  }
  return false;
}

// A token that is looked for in normalised text is found at the same places in the raw text if no
// match can overlap anything that the normaliser wrote or removed.
absl::Status CheckUntouchedByNormalizer(const TokenizerSettings::AddedToken& token,
                                        const std::vector<Replacement>& normalizer,
                                        absl::string_view where) {
  for (const Replacement& r : normalizer) {
    if (r.to.empty() || SharesCodePoint(r.from, token.content) ||
        SharesCodePoint(r.to, token.content)) {
      return Unsupported(where,
                         "is matched after the normalizer (\"normalized\": true), which "
                         "changes or writes characters of it");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<TokenizerSettings::AddedToken> ParseAddedToken(const Json& value,
                                                              absl::string_view where) {
  if (!value.is_object()) return Invalid(where, "is not an object");
  TokenizerSettings::AddedToken token;
  const Json& id = Member(value, "id");
  if (!id.is_number_unsigned() || id.get<uint64_t>() > std::numeric_limits<int32_t>::max()) {
    return Invalid(absl::StrCat(where, ".id"), "is not a token id");
  }
  token.id = id.get<int32_t>();
  FACET_ASSIGN_OR_RETURN(token.content, StringMember(value, "content", where));
  if (token.content.empty()) return Invalid(absl::StrCat(where, ".content"), "is empty");
  FACET_ASSIGN_OR_RETURN(token.special, BoolMember(value, "special", false, where));
  FACET_ASSIGN_OR_RETURN(token.normalized, BoolMember(value, "normalized", false, where));
  for (const char* flag : {"single_word", "lstrip", "rstrip"}) {
    FACET_ASSIGN_OR_RETURN(const bool set, BoolMember(value, flag, false, where));
    if (set) return Unsupported(absl::StrCat(where, ".", flag), "is true, which is not supported");
  }
  return token;
}

absl::Status ParseAddedTokens(const Json& list, TokenizerSettings* settings) {
  if (list.is_null()) return absl::OkStatus();
  if (!list.is_array()) return Invalid("added_tokens", "is not an array");
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string where = absl::StrCat("added_tokens[", i, "]");
    FACET_ASSIGN_OR_RETURN(TokenizerSettings::AddedToken token, ParseAddedToken(list[i], where));
    if (token.normalized) {
      FACET_RETURN_IF_ERROR(CheckUntouchedByNormalizer(token, settings->normalizer, where));
    }
    settings->added_tokens.push_back(std::move(token));
  }
  return absl::OkStatus();
}

absl::Status ParseModel(const Json& model, TokenizerSettings* settings) {
  FACET_ASSIGN_OR_RETURN(const std::string type, TypeOf(model, "model"));
  if (type != "BPE") {
    return Unsupported("model", absl::StrCat("is of type ", type, "; only BPE is supported"));
  }
  FACET_ASSIGN_OR_RETURN(settings->byte_fallback,
                         BoolMember(model, "byte_fallback", false, "model"));
  FACET_ASSIGN_OR_RETURN(settings->fuse_unk, BoolMember(model, "fuse_unk", false, "model"));
  FACET_ASSIGN_OR_RETURN(const bool ignore_merges,
                         BoolMember(model, "ignore_merges", false, "model"));
  if (ignore_merges) return Unsupported("model.ignore_merges", "is true, which is not supported");
  if (!Member(model, "unk_token").is_null()) {
    FACET_ASSIGN_OR_RETURN(settings->unk_token, StringMember(model, "unk_token", "model"));
  }
  const Json& dropout = Member(model, "dropout");
  if (!dropout.is_null() && !(dropout.is_number() && dropout.get<double>() == 0)) {
    return Unsupported("model.dropout", "is set, which is not supported");
  }
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const Json& value = Member(model, affix);
    if (!value.is_null() && value != "") {
      return Unsupported(absl::StrCat("model.", affix), "is set, which is not supported");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TokenizerSettings> ParseTokenizerSettings(const Json& file) {
  TokenizerSettings settings;
  FACET_RETURN_IF_ERROR(ParseModel(Member(file, "model"), &settings));
  FACET_RETURN_IF_ERROR(
      ParseNormalizer(Member(file, "normalizer"), "normalizer", &settings.normalizer));
  FACET_RETURN_IF_ERROR(CheckPreTokenizer(Member(file, "pre_tokenizer"), "pre_tokenizer",
                                          LeavesSpaces(settings.normalizer)));
  FACET_RETURN_IF_ERROR(
      ParsePostProcessor(Member(file, "post_processor"), "post_processor", &settings.adds_bos));
  if (const Json& decoder = Member(file, "decoder"); decoder.is_null()) {
    settings.decoder = Reversed(settings.normalizer);
  } else {
    FACET_RETURN_IF_ERROR(ParseDecoder(decoder, "decoder", &settings.decoder));
  }
  FACET_RETURN_IF_ERROR(ParseAddedTokens(Member(file, "added_tokens"), &settings));
  return settings;
}

namespace {

// What StrReplaceAll does, in a third of the time for the one character of our normalisers.
std::string ReplaceCharacter(const std::string& text, char from, const std::string& to) {
  std::string out;
  const auto count = static_cast<size_t>(std::count(text.begin(), text.end(), from));
  out.reserve(text.size() + count * to.size());
  size_t begin = 0;
  for (size_t at; (at = text.find(from, begin)) != std::string::npos; begin = at + 1) {
    out.append(text, begin, at - begin).append(to);
  }
  return out.append(text, begin);
}

}  // namespace

std::string ApplyReplacements(const std::vector<Replacement>& replacements, std::string text) {
  for (const Replacement& r : replacements) {
    text = r.from.size() == 1 ? ReplaceCharacter(text, r.from[0], r.to)
                              : absl::StrReplaceAll(text, {{r.from, r.to}});
  }
  return text;
}

}  // namespace facet
