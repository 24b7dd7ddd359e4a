#include "model/tokenizer/testing/fixtures.h"

#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace facet::testing {
namespace {

std::vector<std::string> CodePoints(const std::string& text) {
  std::vector<std::string> out;
  for (const char c : text) {
    if ((static_cast<uint8_t>(c) & 0xC0) != 0x80) out.emplace_back();
    out.back() += c;
  }
  return out;
}

}  // namespace

std::string ReadFixture(const std::string& name) {
  std::ifstream file("tests/golden/tokenizer/" + name, std::ios::binary);
  if (!file) throw std::runtime_error("no fixture " + name);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

nlohmann::json TinyTokenizer() {
  return nlohmann::json::parse(R"({
    "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}})");
}

NaiveEncoder::NaiveEncoder(const nlohmann::json& tokenizer)
    : vocab_(tokenizer["model"]["vocab"].get<std::map<std::string, int32_t>>()),
      replaces_spaces_(!tokenizer["normalizer"].is_null()) {
  int rank = 0;
  for (const auto& merge : tokenizer["model"]["merges"]) {
    ranks_[{merge[0], merge[1]}] = rank++;
  }
}

std::vector<int32_t> NaiveEncoder::Encode(const std::string& text) const {
  std::vector<std::string> symbols;
  for (std::string c : CodePoints(text)) {
    if (replaces_spaces_ && c == " ") c = "\u2581";
    if (vocab_.count(c) != 0) {
      symbols.push_back(c);
      continue;
    }
    for (const char byte : c) {
      char name[8];
      std::snprintf(name, sizeof(name), "<0x%02X>",
                    static_cast<unsigned>(static_cast<uint8_t>(byte)));
      symbols.push_back(name);
    }
  }
  while (true) {
    size_t best = symbols.size();
    int best_rank = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto it = ranks_.find({symbols[i], symbols[i + 1]});
      if (it != ranks_.end() && (best == symbols.size() || it->second < best_rank)) {
        best = i;
        best_rank = it->second;
      }
    }
    if (best == symbols.size()) break;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + best + 1);
  }
  std::vector<int32_t> ids;
  for (const std::string& symbol : symbols) ids.push_back(vocab_.at(symbol));
  return ids;
}

std::string Utf8(uint32_t c) {
  const auto byte = [](uint32_t value) { return static_cast<char>(value); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xC0 + c / 64), byte(0x80 + c % 64)};
  if (c < 0x10000) return {byte(0xE0 + c / 4096), byte(0x80 + c / 64 % 64), byte(0x80 + c % 64)};
  return {byte(0xF0 + c / 262144), byte(0x80 + c / 4096 % 64), byte(0x80 + c / 64 % 64),
          byte(0x80 + c % 64)};
}

std::string RandomText(std::mt19937& rng, int length) {
  static const char* const kBits[] = {
      " ",  " ",      "  ",     "\n",     "\n\n",       "\t",         "e",
      "t",  " the",   "er",     "storm",  " harbour",   "\u00e9",     "\u0301",
      "\r", "\u65e5", "\u672c", "\u05e9", "\U0001F60A", "\U0001F469", "\u200d",
      "<",  "|",      ">",      "turn",   "<|turn>",    "<eos>",      "<0x41>"};
  const auto below = [&rng](uint32_t n) { return static_cast<uint32_t>(rng() % n); };
  std::string text;
  for (int i = 0; i < length; ++i) {
    switch (below(8)) {
      case 0: {  // any scalar value but U+2581, which comes back as a space
        uint32_t c = below(0x110000 - 0x800);
        if (c >= 0xD800) c += 0x800;
        if (c != 0x2581) text += Utf8(c);
        break;
      }
      case 1:
        text += Utf8(below(0x80));
        break;
      case 2:
        text += Utf8(0x80 + below(0x2500 - 0x80));
        break;
      default:
        text += kBits[below(std::size(kBits))];
    }
  }
  return text;
}

}  // namespace facet::testing
