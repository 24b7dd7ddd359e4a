// mask_benchmark TOKENIZER_JSON: how long masks and compilations take with a full-size vocabulary.

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
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
  const auto string = [](const char* name, const std::string& keywords) {
    return Case{name,
                {.kind = Kind::kJsonSchema,
                 .text = R"({"type":"object","properties":{"a":{"type":"string",)" + keywords +
                         R"(},"b":{"type":"string"}},"required":["a","b"]})"}};
  };
  return {
      {"JSON object", {.kind = Kind::kJsonObject}},
      {"schema, 4 properties", {.kind = Kind::kJsonSchema, .text = person}},
      {"schema, recursive", {.kind = Kind::kJsonSchema, .text = tree}},
      string("maxLength 30", R"("maxLength":30)"),
      string("maxLength 100", R"("maxLength":100)"),
      string("maxLength 500", R"("maxLength":500)"),
      string("maxLength 4000", R"("maxLength":4000)"),
      string("minLength 20", R"("minLength":20)"),
      string("pattern ^.*$", R"("pattern":"^.*$")"),
      string("pattern ^.{1,100}$", R"("pattern":"^.{1,100}$")"),
      string("pattern ^[^@]+@[^@]+$", R"("pattern":"^[^@]+@[^@]+$")"),
      string("pattern ^[a-z0-9-]{1,63}$", R"("pattern":"^[a-z0-9-]{1,63}$")"),
      string("pattern ^\\S+( \\S+)*$", R"("pattern":"^\\S+( \\S+)*$")"),
      string("pattern colou?r (not anchored)", R"("pattern":"colou?r")"),
      {"schema, 1000 items",
       {.kind = Kind::kJsonSchema,
        .text = R"({"type":"array","maxItems":1000,"items":{"type":"integer"}})"}},
      {"regex .*", {.kind = Kind::kRegex, .text = ".*"}},
      {"regex, date or word", {.kind = Kind::kRegex, .text = "\\d{4}-\\d{2}-\\d{2}|[a-z]{1,200}"}},
      {"regex, large", {.kind = Kind::kRegex, .text = "([a-z]{1,20}[0-9]{1,20}){1,50}"}},
      {"EBNF ([a-z] | \"-\")*", {.kind = Kind::kEbnf, .text = "root ::= ([a-z] | \"-\")*"}},
      {"EBNF, arithmetic",
       {.kind = Kind::kEbnf,
        .text = "root ::= root [-+*/] root | [0-9]+ | [a-z_]+ | \"(\" root \")\""}},
      {"EBNF, hostile",
       {.kind = Kind::kEbnf,
        .text = "root ::= a a a a\na ::= (b | b c)* c?\nb ::= [a-z]{0,500} | \"-\" a c\n"
                "c ::= (\"x\" | [x-z]){1,500}"}},
      {"regex, hostile", {.kind = Kind::kRegex, .text = "[a-z ]*e[a-z ]{1500}"}},
      {"tools, auto",
       {.kind = Kind::kToolCalls, .tools = {{"save", person}, {"plant", tree}, {"now", ""}}}}};
}

double Micros(absl::Duration duration) { return absl::ToDoubleMicroseconds(duration); }

// Of this thread: other work on the machine does not count.
absl::Time CpuNow() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return absl::TimeFromTimespec(now);
}

void Measure(GrammarCompiler& compiler, const Case& c) {
  const absl::Time begin = CpuNow();
  const auto grammar = compiler.Compile(c.spec);
  const double compile_ms = Micros(CpuNow() - begin) / 1000;
  if (!grammar.ok()) {
    std::printf("%-30s compile %8.1f ms  %s\n", c.name, compile_ms,
                std::string(grammar.status().message()).c_str());
    return;
  }
  std::mt19937 rng(1);
  std::vector<uint32_t> mask(MaskWords((*grammar)->mask_ids()));
  std::vector<double> fill, accept;
  for (int sequence = 0; sequence < 20; ++sequence) {
    GrammarMatcher matcher(*grammar);
    for (int step = 0; step < 100 && !matcher.IsTerminated(); ++step) {
      const absl::Time start = CpuNow();
      if (const absl::Status status = matcher.FillMask(absl::MakeSpan(mask)); !status.ok()) {
        std::printf("%-30s step %zu after %.0f ms: %s\n", c.name, fill.size(),
                    Micros(CpuNow() - start) / 1000, std::string(status.message()).c_str());
        sequence = 20;
        break;
      }
      const absl::Time filled = CpuNow();
      fill.push_back(Micros(filled - start));
      // Some allowed token, from a random place on.
      const int32_t ids = (*grammar)->mask_ids();
      int32_t id = static_cast<int32_t>(rng() % ids), tried = 0;
      while ((mask[id / 32] >> (id % 32) & 1) == 0 && tried++ < ids) id = (id + 1) % ids;
      const absl::Time chosen = CpuNow();
      if (!matcher.Accept(id).ok()) return;
      accept.push_back(Micros(CpuNow() - chosen));
    }
  }
  if (accept.empty()) return;
  const auto at = [](std::vector<double>& v, double q) {
    std::sort(v.begin(), v.end());
    return v[static_cast<size_t>(q * static_cast<double>(v.size() - 1))];
  };
  std::printf(
      "%-30s compile %8.1f ms %6.1f MiB  mask p50 %6.0f p99 %6.0f max %6.0f us  "
      "accept p50 %5.0f p99 %5.0f us  (%zu steps)\n",
      c.name, compile_ms, static_cast<double>((*grammar)->bytes()) / (1 << 20), at(fill, 0.5),
      at(fill, 0.99), at(fill, 1), at(accept, 0.5), at(accept, 0.99), fill.size());
}

void MeasureApply(int32_t ids) {
  std::vector<float> logits(ids, 1.0f);
  std::vector<uint32_t> mask(MaskWords(ids), 0x0F0F0F0Fu);
  const absl::Time begin = CpuNow();
  constexpr int kRounds = 200;
  for (int i = 0; i < kRounds; ++i) ApplyMask(mask, absl::MakeSpan(logits));
  std::printf("apply to %d logits: %.0f us\n", ids, Micros(CpuNow() - begin) / kRounds);
}

int Main(const char* path) {
  const auto tokenizer = Tokenizer::Load(path);
  if (!tokenizer.ok()) return 1;
  const absl::Time begin = CpuNow();
  const auto vocabulary =
      GrammarVocabulary::FromTokenizer(tokenizer->get(), {1, 106, 50}, (*tokenizer)->vocab_size());
  if (!vocabulary.ok()) return 1;
  auto compiler = GrammarCompiler::Create(*vocabulary, {});
  if (!compiler.ok()) return 1;
  std::printf("compiler for %d ids: %.0f ms\n", (*tokenizer)->vocab_size(),
              Micros(CpuNow() - begin) / 1000);
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
