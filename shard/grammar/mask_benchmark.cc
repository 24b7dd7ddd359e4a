// mask_benchmark TOKENIZER_JSON: how long masks and compilations take with a full-size vocabulary.

#include <algorithm>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "model/tokenizer/tokenizer.h"
#include "shard/grammar/apply_mask.h"
#include "shard/grammar/grammar_compiler.h"
#include "shard/grammar/grammar_matcher.h"

namespace facet {
namespace {

struct Case {
  const char* name;
  GrammarSpec spec;
};

std::vector<Case> Cases() {
  using Kind = GrammarSpec::Kind;
  const std::string person =
      R"({"type":"object","properties":{"name":{"type":"string","maxLength":80},"age":{"type":
      "integer","minimum":0,"maximum":150},"mail":{"type":"string","format":"email"},"tags":{"type":
      "array","items":{"enum":["red","green","blue"]}}},"required":["name","age"]})";
  const std::string tree =
      R"({"type":"object","properties":{"value":{"type":"number"},"children":{"type":"array",
      "items":{"$ref":"#"}}},"required":["value","children"]})";
  return {{"JSON object", {.kind = Kind::kJsonObject}},
          {"schema, 4 properties", {.kind = Kind::kJsonSchema, .text = person}},
          {"schema, recursive", {.kind = Kind::kJsonSchema, .text = tree}},
          {"schema, 4096 characters",
           {.kind = Kind::kJsonSchema, .text = R"({"type":"string","maxLength":4096})"}},
          {"schema, 1000 items",
           {.kind = Kind::kJsonSchema,
            .text = R"({"type":"array","maxItems":1000,"items":{"type":"integer"}})"}},
          {"regex", {.kind = Kind::kRegex, .text = "\\d{4}-\\d{2}-\\d{2}|[a-z]{1,200}"}},
          {"regex, large", {.kind = Kind::kRegex, .text = "([a-z]{1,20}[0-9]{1,20}){1,50}"}},
          {"hostile EBNF",
           {.kind = Kind::kEbnf,
            .text = "root ::= a a a a | root root\na ::= (b | b c)* c?\nb ::= [a-z]{0,500} | a c\n"
                    "c ::= (\"x\" | [x-z]){1,500}"}},
          {"tools, auto",
           {.kind = Kind::kToolCalls, .tools = {{"save", person}, {"plant", tree}, {"now", ""}}}}};
}

double Micros(absl::Duration duration) { return absl::ToDoubleMicroseconds(duration); }

void Measure(GrammarCompiler& compiler, const Case& c) {
  const absl::Time begin = absl::Now();
  const auto grammar = compiler.Compile(c.spec);
  const double compile_ms = Micros(absl::Now() - begin) / 1000;
  if (!grammar.ok()) {
    std::printf("%-26s compile %8.1f ms  %s\n", c.name, compile_ms,
                std::string(grammar.status().message()).c_str());
    return;
  }
  std::mt19937 rng(1);
  std::vector<uint32_t> mask(MaskWords((*grammar)->mask_ids()));
  std::vector<double> fill, accept;
  for (int sequence = 0; sequence < 20; ++sequence) {
    GrammarMatcher matcher(*grammar);
    for (int step = 0; step < 100 && !matcher.IsTerminated(); ++step) {
      const absl::Time start = absl::Now();
      if (!matcher.FillMask(absl::MakeSpan(mask)).ok()) return;
      const absl::Time filled = absl::Now();
      fill.push_back(Micros(filled - start));
      // Some allowed token, from a random place on.
      const int32_t ids = (*grammar)->mask_ids();
      int32_t id = static_cast<int32_t>(rng() % ids), tried = 0;
      while ((mask[id / 32] >> (id % 32) & 1) == 0 && tried++ < ids) id = (id + 1) % ids;
      const absl::Time chosen = absl::Now();
      if (!matcher.Accept(id).ok()) return;
      accept.push_back(Micros(absl::Now() - chosen));
    }
  }
  const auto at = [](std::vector<double>& v, double q) {
    std::sort(v.begin(), v.end());
    return v[static_cast<size_t>(q * static_cast<double>(v.size() - 1))];
  };
  std::printf(
      "%-26s compile %8.1f ms %6.1f MiB  mask p50 %6.0f p99 %6.0f max %6.0f us  "
      "accept p50 %5.0f p99 %5.0f us  (%zu steps)\n",
      c.name, compile_ms, static_cast<double>((*grammar)->bytes()) / (1 << 20), at(fill, 0.5),
      at(fill, 0.99), at(fill, 1), at(accept, 0.5), at(accept, 0.99), fill.size());
}

void MeasureApply(int32_t ids) {
  std::vector<float> logits(ids, 1.0f);
  std::vector<uint32_t> mask(MaskWords(ids), 0x0F0F0F0Fu);
  const absl::Time begin = absl::Now();
  constexpr int kRounds = 200;
  for (int i = 0; i < kRounds; ++i) ApplyMask(mask, absl::MakeSpan(logits));
  std::printf("apply to %d logits: %.0f us\n", ids, Micros(absl::Now() - begin) / kRounds);
}

int Main(const char* path) {
  const auto tokenizer = Tokenizer::Load(path);
  if (!tokenizer.ok()) return 1;
  const absl::Time begin = absl::Now();
  const auto vocabulary =
      GrammarVocabulary::FromTokenizer(tokenizer->get(), {1, 106, 50}, (*tokenizer)->vocab_size());
  if (!vocabulary.ok()) return 1;
  auto compiler = GrammarCompiler::Create(*vocabulary, {.max_compile_time = absl::Seconds(60)});
  if (!compiler.ok()) return 1;
  std::printf("compiler for %d ids: %.0f ms\n", (*tokenizer)->vocab_size(),
              Micros(absl::Now() - begin) / 1000);
  for (const Case& c : Cases()) Measure(**compiler, c);
  MeasureApply((*tokenizer)->vocab_size());
  return 0;
}

}  // namespace
}  // namespace facet

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  return facet::Main(argv[1]);
}
