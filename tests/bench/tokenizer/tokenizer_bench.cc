// Loading, encoding and decoding, in bytes of text a second.
//
//   FACET_TOKENIZER=CHECKPOINT/tokenizer.json bazel run //tests/bench/tokenizer:tokenizer_bench --
//   [TEXT_FILE]..
//
// Without FACET_TOKENIZER the small fixture is used, without files a built-in text (which, being
// short, stays in the caches: real files are slower). Encode/FILE/n cuts the text into pieces of n
// bytes, as requests would, and /threads:2 says what two cores do together; OneLongLine is the
// worst case, a text that cannot be cut. hf_tokenizers.py measures the same of the Hugging Face
// library.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/log.h"
#include "benchmark/benchmark.h"
#include "model/tokenizer/tokenizer.h"

namespace facet {
namespace {

struct Text {
  std::string name, content;
};

std::string TokenizerPath() {
  const char* path = std::getenv("FACET_TOKENIZER");
  return path != nullptr ? path : "tests/golden/tokenizer/small/tokenizer.json";
}

std::unique_ptr<Tokenizer> LoadTokenizer() {
  auto tokenizer = Tokenizer::Load(TokenizerPath());
  FACET_CHECK(tokenizer.ok()) << tokenizer.status();
  return std::move(*tokenizer);
}

Text ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  FACET_CHECK(file.good()) << "cannot read " << path;
  std::ostringstream content;
  content << file.rdbuf();
  return {path.substr(path.rfind('/') + 1), content.str()};
}

Text BuiltInText() {
  std::string content;
  while (content.size() < (size_t{1} << 20)) {
    content +=
        "The lighthouse keeper counted the ships before the storm.\n"
        "Le gardien a compt\u00e9 les bateaux avant la temp\u00eate.\n"
        "\u0421\u043c\u043e\u0442\u0440\u0438\u0442\u0435\u043b\u044c "
        "\u043c\u0430\u044f\u043a\u0430, "
        "\u65e5\u672c\u8a9e\u306e\u6587\u3002 \U0001F60A\n"
        "    for (int i = 0; i < 10; ++i) { total += ships[i]; }\n\n";
  }
  return {"built_in", content};
}

// Pieces of about `size` bytes, cut between code points.
std::vector<absl::string_view> Cut(absl::string_view text, size_t size) {
  std::vector<absl::string_view> pieces;
  while (!text.empty()) {
    size_t end = std::min(size, text.size());
    while (end < text.size() && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80) ++end;
    pieces.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return pieces;
}

void SetRate(benchmark::State& state, size_t bytes_an_iteration) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes_an_iteration));
}

void Load(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(LoadTokenizer());
}

void Encode(benchmark::State& state, const Tokenizer& tokenizer, const Text& text, size_t size) {
  const std::vector<absl::string_view> pieces = Cut(text.content, size);
  for (auto _ : state) {
    for (const absl::string_view piece : pieces) {
      benchmark::DoNotOptimize(tokenizer.Encode(piece, {}).value());
    }
  }
  SetRate(state, text.content.size());
}

void Decode(benchmark::State& state, const Tokenizer& tokenizer, const Text& text) {
  const std::vector<int32_t> ids = tokenizer.Encode(text.content, {}).value();
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.Decode(ids, false));
  SetRate(state, text.content.size());
  state.counters["bytes_per_token"] =
      static_cast<double>(text.content.size()) / static_cast<double>(ids.size());
}

void OneLongLine(benchmark::State& state, const Tokenizer& tokenizer, char c) {
  const std::string line(static_cast<size_t>(state.range(0)), c);
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.Encode(line, {}).value());
  SetRate(state, line.size());
}

int Main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const std::unique_ptr<Tokenizer> tokenizer = LoadTokenizer();
  std::vector<Text> texts;
  for (int i = 1; i < argc; ++i) texts.push_back(ReadText(argv[i]));
  if (texts.empty()) texts.push_back(BuiltInText());

  benchmark::RegisterBenchmark("Load", Load)->Unit(benchmark::kMillisecond);
  for (const Text& text : texts) {
    for (const size_t size : {128, 1024, 8192, 65536}) {
      benchmark::RegisterBenchmark(
          ("Encode/" + text.name + "/" + std::to_string(size)).c_str(),
          [&tokenizer, &text, size](benchmark::State& s) { Encode(s, *tokenizer, text, size); });
    }
    benchmark::RegisterBenchmark(
        ("Encode/" + text.name + "/8192").c_str(),
        [&tokenizer, &text](benchmark::State& s) { Encode(s, *tokenizer, text, 8192); })
        ->Threads(2)
        ->UseRealTime();
    benchmark::RegisterBenchmark(
        ("Decode/" + text.name).c_str(),
        [&tokenizer, &text](benchmark::State& s) { Decode(s, *tokenizer, text); });
  }
  for (const char c : {'x', ' '}) {
    benchmark::RegisterBenchmark(
        c == 'x' ? "OneLongLine/x" : "OneLongLine/spaces",
        [&tokenizer, c](benchmark::State& s) { OneLongLine(s, *tokenizer, c); })
        ->RangeMultiplier(4)
        ->Range(1 << 13, 1 << 21)
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace facet

int main(int argc, char** argv) { return facet::Main(argc, argv); }
