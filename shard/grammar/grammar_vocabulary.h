#ifndef FACET_SHARD_GRAMMAR_GRAMMAR_VOCABULARY_H_
#define FACET_SHARD_GRAMMAR_GRAMMAR_VOCABULARY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/tokenizer/tokenizer.h"
#include "shard/grammar/grammar_text.h"

namespace facet {

// What grammars know of a vocabulary.
struct GrammarVocabulary {
  // The bytes that each id adds to an answer; empty for control tokens and ids without text.
  std::vector<std::string> pieces;
  std::vector<int32_t> end_ids;  // end an answer; every other control token is kept out of it
  CallTokens call;
  int32_t call_wait = -1;      // <|tool_response>: the end of an answer that called tools
  int32_t thought_begin = -1;  // <|channel>
  int32_t thought_end = -1;    // <channel|>

  // `end_ids` as in generation_config.json, `logits` entries in a row of logits (ids above the
  // tokenizer's never appear in an answer). FailedPrecondition when there is no tokenizer (null) or
  // an end id or the row does not fit it.
  static absl::StatusOr<GrammarVocabulary> FromTokenizer(const Tokenizer* tokenizer,
                                                         absl::Span<const int32_t> end_ids,
                                                         int32_t logits);
};

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_GRAMMAR_VOCABULARY_H_
