// Schemas, patterns and rules with random damage: each is refused or becomes a grammar in which
// nothing locks up.

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "shard/grammar/automaton/mask_builder.h"
#include "shard/grammar/automaton/network.h"
#include "shard/grammar/automaton/state_cache.h"
#include "shard/grammar/pattern_grammar.h"
#include "shard/grammar/schema_grammar.h"

namespace facet {
namespace {

const std::vector<std::string>& Schemas() {
  static const auto& schemas = *new std::vector<std::string>{
      R"({"type":"object","properties":{"a":{"type":"string","maxLength":9},"b":{"$ref":"#"}}})",
      R"({"allOf":[{"properties":{"a":{"minimum":3}}},{"properties":{"a":{"type":"integer"}}}]})",
      R"({"oneOf":[{"type":"string","pattern":"^a{2,5}$","minLength":3},{"enum":[1,null,"\u0000"]}]})",
      R"({"type":"array","prefixItems":[{"const":"x"},false],"items":{"format":"uri"},"minItems":1})",
      R"({"type":"object","propertyNames":{"pattern":"^[a-z]+$"},"additionalProperties":{"not":{}}})",
      R"({"$defs":{"n":{"type":"number","exclusiveMaximum":7}},"anyOf":[{"$ref":"#/$defs/n"}],"title":"t"})"};
  return schemas;
}
const std::vector<std::string>& Patterns() {
  static const auto& patterns = *new std::vector<std::string>{
      "^[A-Z]{2,3}(a|b)*?\\d+$", "(?:x|y{2,}|[^\\w-]){1,9}$|^\\u00e9+", "^.{1,100}@.*$"};
  return patterns;
}
const std::vector<std::string>& Rules() {
  static const auto& rules = *new std::vector<std::string>{
      "root ::= item (\",\" item)*\nitem ::= [0-9]+ | \"x\"{2,5}\n",
      "root ::= root \"+\" t | t\nt ::= t \"*\" [a-z] | \"(\" root \")\" | [^\\x00-\\u00ff]",
      "root ::= (\"a\"?){0,30} [a-\\U0001f600]*"};
  return rules;
}

class MutatedGrammarTest : public ::testing::Test {
 protected:
  MutatedGrammarTest() {
    for (int byte = 1; byte < 256; ++byte) {
      pieces_.push_back(std::string(1, static_cast<char>(byte)));
    }
    for (const char* piece : {"hello", "\":", "日本", "", "", ""}) pieces_.push_back(piece);
    index_ = std::make_unique<TokenIndex>(pieces_);
    const auto last = static_cast<int32_t>(pieces_.size()) - 1;
    tokens_ = {.call_begin = last, .call_end = last - 1, .quote = last - 2};
  }

  size_t Draw(size_t n) { return n == 0 ? 0 : rng_() % n; }

  std::string Damaged(std::string text) {
    static const std::string& bits =
        *new std::string("[]{}()|*+?\\\"'#:=,-^$.0123456789abcnrtuxU \n\x80\xff");
    for (size_t times = Draw(6); times > 0; --times) {
      const size_t at = Draw(text.size());
      switch (Draw(4)) {
        case 0:
          text.insert(at, 1, bits[Draw(bits.size())]);
          break;
        case 1:
          text.erase(at, 1 + Draw(4));
          break;
        case 2:
          text.insert(at, text.substr(Draw(text.size()), 1 + Draw(30)));
          break;
        default:
          if (!text.empty()) text[at] = bits[Draw(bits.size())];
      }
    }
    return text;
  }
  std::string OneOf(const std::vector<std::string>& texts) { return texts[Draw(texts.size())]; }

  // Walks a few tokens; false: `ebnf` was refused.
  bool Walk(const std::string& ebnf, const EbnfLimits& limits) {
    auto network = GrammarNetwork::FromEbnf(ebnf, limits);
    if (!network.ok()) return false;
    StateCache cache(std::make_shared<const GrammarNetwork>(*std::move(network)));
    constexpr int64_t kLimit = 1'000'000;
    WorkBudget work{kLimit};
    int32_t state = cache.Start(&work);
    for (int step = 0; step < 6 && state > 0; ++step) {
      work = {kLimit};
      std::vector<uint32_t> mask;
      if (BuildMask(*index_, &cache, state, &work, &mask) != MaskResult::kOk) break;
      std::vector<size_t> allowed;
      for (size_t id = 0; id < pieces_.size(); ++id) {
        if (mask[id / 32] >> (id % 32) & 1) allowed.push_back(id);
      }
      if (allowed.empty()) {
        EXPECT_TRUE(cache.IsComplete(state)) << "stuck in " << ebnf;
        break;
      }
      const size_t id = allowed[Draw(allowed.size())];
      if (pieces_[id].empty()) state = cache.NextToken(state, static_cast<int32_t>(id), &work);
      for (const char c : pieces_[id]) {
        if (state > 0) state = cache.NextByte(state, static_cast<uint8_t>(c), &work);
      }
      EXPECT_NE(state, StateCache::kDead) << "token " << id << " in " << ebnf;
    }
    return true;
  }

  std::mt19937 rng_{21};
  std::vector<std::string> pieces_;
  std::unique_ptr<TokenIndex> index_;
  CallTokens tokens_;
};

TEST_F(MutatedGrammarTest, Schemas) {
  int walked = 0, refused = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::string text = Damaged(OneOf(Schemas()));
    const bool call = Draw(2) == 0;
    const auto grammar =
        SchemaToGrammar(text, {.syntax = call ? ValueSyntax::kCall : ValueSyntax::kJson,
                               .tokens = tokens_,
                               .widen = Draw(2) == 0});
    if (!grammar.ok()) {
      ++refused;
      continue;
    }
    // What we write for a schema is a sound grammar.
    ASSERT_TRUE(Walk(absl::StrCat("root ::= ", grammar->root, "\n", grammar->rules), kOwnEbnf))
        << text;
    ++walked;
  }
  EXPECT_GT(walked, 300);
  EXPECT_GT(refused, 300);
}

TEST_F(MutatedGrammarTest, Patterns) {
  int walked = 0;
  for (int round = 0; round < 2000; ++round) {
    const std::string text = Damaged(OneOf(Patterns()));
    PatternOptions options = {.raw = Draw(2) == 0, .min_length = static_cast<int64_t>(Draw(4))};
    if (Draw(2) == 0) options.max_length = static_cast<int64_t>(Draw(40));
    const auto ebnf = PatternToEbnf(text, options);
    if (ebnf.ok()) walked += Walk(absl::StrCat("root ::= ", *ebnf, "\n"), kOwnEbnf);
  }
  EXPECT_GT(walked, 100);
}

TEST_F(MutatedGrammarTest, Rules) {
  int walked = 0;
  for (int round = 0; round < 3000; ++round) {
    walked += Walk(Damaged(OneOf(Rules())), kCallersEbnf);
  }
  EXPECT_GT(walked, 300);
}

}  // namespace
}  // namespace facet
