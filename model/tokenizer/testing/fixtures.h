#ifndef FACET_MODEL_TOKENIZER_TESTING_FIXTURES_H_
#define FACET_MODEL_TOKENIZER_TESTING_FIXTURES_H_

// What tests of the tokenizer share: the fixtures of tests/golden/tokenizer, random texts, and a
// slow encoder to compare with.

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"

namespace facet::testing {

// A file of tests/golden/tokenizer, e.g. "small/tokenizer.json". Throws when it is missing.
std::string ReadFixture(const std::string& name);

// The smallest sound tokenizer file: pieces "a", "b", "ab" (ids 0, 1, 2), one merge.
nlohmann::json TinyTokenizer();

// Byte-pair encoding by its definition, over strings and in O(n^2): reads what it needs from the
// tokenizer.json itself. No added tokens; unknown code points must have byte pieces.
class NaiveEncoder {
 public:
  explicit NaiveEncoder(const nlohmann::json& tokenizer);
  std::vector<int32_t> Encode(const std::string& text) const;

 private:
  std::map<std::string, int32_t> vocab_;
  std::map<std::pair<std::string, std::string>, int> ranks_;
  bool replaces_spaces_;
};

// The UTF-8 of a code point.
std::string Utf8(uint32_t code_point);

// `length` code points from all over Unicode, with much of what tokenizers stumble over.
std::string RandomText(std::mt19937& rng, int length);

}  // namespace facet::testing

#endif  // FACET_MODEL_TOKENIZER_TESTING_FIXTURES_H_
