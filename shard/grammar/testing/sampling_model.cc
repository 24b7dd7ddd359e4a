#include "shard/grammar/testing/sampling_model.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/grammar/apply_mask.h"

namespace facet::testing {
namespace {

const char* const kControl[] = {"<eos>",        "<turn|>",      "<|tool_response>",
                                "<|tool_call>", "<tool_call|>", "<|\"|>",
                                "<|channel>",   "<channel|>",   "<|turn>"};
const char* const kLonger[] = {"\n\n", "\n  ",  "  ",   "    ", "\":",   "\": ", "\", \"", "{\"",
                               "\"}",  "}}",    "[[",   "]]",   "],",    "00",   "123",    "true",
                               "null", "call:", "\\u0", "e-",   "hello", "日本", "\t\t",   "\"\""};

const std::vector<std::string>& Names() {
  static const auto& names = *[] {
    auto* list = new std::vector<std::string>;
    for (const char* name : kControl) list->push_back(name);
    for (int byte = 0; byte < 256; ++byte) list->push_back(std::string(1, static_cast<char>(byte)));
    for (const char* piece : kLonger) list->push_back(piece);
    return list;
  }();
  return names;
}

bool Loved(Habit habit, const std::string& piece) {
  switch (habit) {
    case Habit::kRandom:
      return false;
    case Habit::kLineBreaks:
      return piece[0] == '\n';
    case Habit::kSpaces:
      return piece[0] == ' ' || piece[0] == '\t';
    case Habit::kQuotes:
      return piece[0] == '"' || piece == "<|\"|>";
    case Habit::kDigits:
      return piece[0] >= '0' && piece[0] <= '9';
    case Habit::kBrackets:
      return piece[0] == '{' || piece[0] == '[';
  }
  return false;
}

bool Closes(const std::string& piece) {
  return piece == "\"" || piece == "}" || piece == "]" || piece == "<|\"|>" ||
         piece == "<tool_call|>";
}

}  // namespace

GrammarVocabulary SmallVocabulary() {
  GrammarVocabulary vocabulary;
  vocabulary.pieces = Names();
  for (size_t i = 0; i < std::size(kControl); ++i) vocabulary.pieces[i] = "";
  vocabulary.end_ids = {SmallId("<eos>"), SmallId("<turn|>"), SmallId("<|tool_response>")};
  vocabulary.call = {.call_begin = SmallId("<|tool_call>"),
                     .call_end = SmallId("<tool_call|>"),
                     .quote = SmallId("<|\"|>")};
  vocabulary.call_wait = SmallId("<|tool_response>");
  vocabulary.thought_begin = SmallId("<|channel>");
  vocabulary.thought_end = SmallId("<channel|>");
  return vocabulary;
}

int32_t SmallId(const std::string& piece) {
  const auto& names = Names();
  return static_cast<int32_t>(std::find(names.begin(), names.end(), piece) - names.begin());
}

absl::StatusOr<Answer> Write(const std::shared_ptr<const CompiledGrammar>& grammar, Habit habit,
                             bool tires, int max_tokens, std::mt19937& rng) {
  GrammarMatcher matcher(grammar);
  std::vector<uint32_t> mask(MaskWords(grammar->mask_ids()));
  Answer answer;
  for (; answer.tokens < max_tokens && !matcher.IsTerminated(); ++answer.tokens) {
    FACET_RETURN_IF_ERROR(matcher.FillMask(absl::MakeSpan(mask)));
    std::vector<int32_t> allowed, loved, closing;
    const bool tired = answer.tokens >= 200 && tires;
    for (int32_t id = 0; id < grammar->mask_ids(); ++id) {
      if ((mask[id / 32] >> (id % 32) & 1) == 0) continue;
      allowed.push_back(id);
      if (!tired && Loved(habit, Names()[id])) loved.push_back(id);
      const bool end = id <= SmallId("<|tool_response>");
      if (answer.tokens >= 200 && (end || Closes(Names()[id]))) closing.push_back(id);
    }
    if (allowed.empty()) return absl::InternalError(absl::StrCat("stuck after ", answer.text));
    const std::vector<int32_t>& from = !loved.empty()     ? loved
                                       : !closing.empty() ? closing
                                                          : allowed;
    const int32_t id = from[rng() % from.size()];
    FACET_RETURN_IF_ERROR(matcher.Accept(id));
    if (id == SmallId("<|\"|>")) {
      answer.text.push_back('\0');
    } else if (!matcher.IsTerminated()) {
      answer.text += Names()[id];
    }
  }
  answer.ended = matcher.IsTerminated();
  return answer;
}

}  // namespace facet::testing
