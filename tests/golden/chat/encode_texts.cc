// encode_texts TOKENIZER_JSON: a JSON string a line on standard input, its token ids a line on
// standard output. For vocabulary_test.py.
#include <iostream>
#include <string>

#include "model/tokenizer/tokenizer.h"
#include "nlohmann/json.hpp"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto tokenizer = facet::Tokenizer::Load(argv[1]);
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.status() << "\n";
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    const std::string text = nlohmann::json::parse(line).get<std::string>();
    const auto ids = (*tokenizer)->Encode(text, {});
    if (!ids.ok()) {
      std::cerr << ids.status() << "\n";
      return 1;
    }
    std::cout << nlohmann::json(*ids).dump() << "\n";
  }
  return 0;
}
