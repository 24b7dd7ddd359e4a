#include "shard/grammar/grammar_vocabulary.h"

#include "absl/strings/str_cat.h"

namespace facet {

absl::StatusOr<GrammarVocabulary> GrammarVocabulary::FromTokenizer(
    const Tokenizer* tokenizer, absl::Span<const int32_t> end_ids, int32_t logits) {
  if (tokenizer == nullptr) {
    return absl::FailedPreconditionError(
        "structured output needs tokenizer.json beside the checkpoint");
  }
  const int32_t size = tokenizer->vocab_size();
  if (logits < size) {
    return absl::FailedPreconditionError(
        absl::StrCat("a row of ", logits, " logits, but ", size, " ids in the tokenizer"));
  }
  GrammarVocabulary vocabulary;
  for (const int32_t id : end_ids) {
    if (id < 0 || id >= size) {
      return absl::FailedPreconditionError(absl::StrCat("end id ", id, " is not in the tokenizer"));
    }
    vocabulary.end_ids.push_back(id);
  }
  vocabulary.pieces.resize(logits);
  for (int32_t id = 0; id < size; ++id) {
    uint8_t byte = 0;
    if (tokenizer->IsSpecial(id)) continue;
    if (tokenizer->IsByte(id, &byte)) {
      vocabulary.pieces[id] = std::string(1, static_cast<char>(byte));
    } else {
      vocabulary.pieces[id] = std::string(tokenizer->IdToText(id));
    }
  }
  const auto id_of = [&](const char* piece) { return tokenizer->TokenToId(piece).value_or(-1); };
  vocabulary.call = {.call_begin = id_of("<|tool_call>"),
                     .call_end = id_of("<tool_call|>"),
                     .quote = id_of("<|\"|>")};
  vocabulary.call_wait = id_of("<|tool_response>");
  vocabulary.thought_begin = id_of("<|channel>");
  vocabulary.thought_end = id_of("<channel|>");
  return vocabulary;
}

}  // namespace facet
