#ifndef FACET_SHARD_GRAMMAR_TESTING_SAMPLING_MODEL_H_
#define FACET_SHARD_GRAMMAR_TESTING_SAMPLING_MODEL_H_

// A model without weights that writes whatever the mask lets it: with habits that a grammar must
// withstand.

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "shard/grammar/grammar_compiler.h"
#include "shard/grammar/grammar_matcher.h"
#include "shard/grammar/grammar_vocabulary.h"

namespace facet::testing {

// Every byte, some longer pieces that cut across JSON's tokens, and Gemma's control tokens.
GrammarVocabulary SmallVocabulary();

// The id of a piece or of a control token's name in SmallVocabulary.
int32_t SmallId(const std::string& piece);

enum class Habit {
  kRandom,      // anything that is allowed
  kLineBreaks,  // a line break wherever one is allowed
  kSpaces,
  kQuotes,
  kDigits,
  kBrackets,  // opens what it can
};
inline constexpr Habit kHabits[] = {Habit::kRandom, Habit::kLineBreaks, Habit::kSpaces,
                                    Habit::kQuotes, Habit::kDigits,     Habit::kBrackets};

struct Answer {
  std::string text;  // the bytes of its tokens; <|"|> as one zero byte, other control tokens named
  bool ended = false;
  int tokens = 0;
};

// Writes until the end token or `max_tokens`. After 200 tokens the model closes what it can, and if
// it `tires` it gives its habit up for that.
absl::StatusOr<Answer> Write(const std::shared_ptr<const CompiledGrammar>& grammar, Habit habit,
                             bool tires, int max_tokens, std::mt19937& rng);

}  // namespace facet::testing

#endif  // FACET_SHARD_GRAMMAR_TESTING_SAMPLING_MODEL_H_
