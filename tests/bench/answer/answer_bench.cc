// What it costs to take an answer apart, by token: `time per token` is 1 / items_per_second. Each
// token is given by itself and its events are thrown away, as a stream does.
//
//   bazel run //tests/bench/answer:answer_bench

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "benchmark/benchmark.h"
#include "model/answer/answer_parser.h"
#include "model/answer/testing/parsed_answer.h"
#include "model/tokenizer/incremental_decoder.h"

namespace facet {
namespace {

using testing::AnswerIds;
using testing::SmallControlTokens;
using testing::SmallTokenizer;

std::string Prose() {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "The keeper counted the ships before the storm.\n\n";
  return text;
}

void Parse(benchmark::State& state, const std::string& text) {
  const std::vector<int32_t> ids = AnswerIds(text);
  std::vector<AnswerEvent> events;
  for (auto _ : state) {
    AnswerParser parser(&SmallTokenizer(), &SmallControlTokens(), testing::WithCountedSuffixes());
    for (const int32_t id : ids) {
      events.clear();
      parser.Push(id, &events);
      benchmark::DoNotOptimize(events.data());
    }
    parser.Finish(AnswerParser::End::kStop, &events);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(ids.size()));
}

// For comparison: the text alone.
void DecodeOnly(benchmark::State& state, const std::string& text) {
  const std::vector<int32_t> ids = AnswerIds(text);
  for (auto _ : state) {
    IncrementalDecoder decoder(&SmallTokenizer(), /*skip_special=*/true);
    for (const int32_t id : ids) benchmark::DoNotOptimize(decoder.Push(id));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(ids.size()));
}

std::string Call() {
  return "<|tool_call>call:write{text:<|\"|>" + Prose() + "<|\"|>}<tool_call|>";
}
std::string SmallCalls() {
  std::string text;
  for (int i = 0; i < 50; ++i) {
    text += "<|tool_call>call:get{city:<|\"|>Oslo<|\"|>,days:[1,2,3],unit:celsius}<tool_call|>";
  }
  return text;
}

BENCHMARK_CAPTURE(DecodeOnly, prose, Prose());
BENCHMARK_CAPTURE(Parse, content, Prose());
BENCHMARK_CAPTURE(Parse, thought, "<|channel>thought\n" + Prose());
BENCHMARK_CAPTURE(Parse, long_string_argument, Call());
BENCHMARK_CAPTURE(Parse, small_calls, SmallCalls());

}  // namespace
}  // namespace facet

BENCHMARK_MAIN();
