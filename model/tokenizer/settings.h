#ifndef FACET_MODEL_TOKENIZER_SETTINGS_H_
#define FACET_MODEL_TOKENIZER_SETTINGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace facet {

// What a tokenizer.json says besides its vocabulary and merges.
struct TokenizerSettings {
  struct Replacement {
    std::string from, to;
  };
  struct AddedToken {
    int32_t id = 0;
    std::string content;
    bool special = false;
    // Whether it is looked for only in what the other added tokens leave over, after the
    // normaliser. (Its content holds nothing that the normaliser touches: checked.)
    bool normalized = false;
  };

  std::vector<Replacement> normalizer;  // literal, in this order
  std::vector<Replacement> decoder;     // literal, on the text of one piece, in this order
  std::vector<AddedToken> added_tokens;
  bool byte_fallback = false;
  bool fuse_unk = false;
  std::optional<std::string> unk_token;
  bool adds_bos = false;  // the post-processor's template begins with a special token
};

// Understands the tree of a tokenizer.json (vocabulary and merges are not looked at).
// InvalidArgument for a field of the wrong type or value, Unimplemented for a component that
// Facet does not have; both name it.
absl::StatusOr<TokenizerSettings> ParseTokenizerSettings(const nlohmann::json& file);

// `text` with each replacement made everywhere, one after the other.
std::string ApplyReplacements(const std::vector<TokenizerSettings::Replacement>& replacements,
                              std::string text);

}  // namespace facet

#endif  // FACET_MODEL_TOKENIZER_SETTINGS_H_
