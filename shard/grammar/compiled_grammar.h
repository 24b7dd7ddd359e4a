#ifndef FACET_SHARD_GRAMMAR_COMPILED_GRAMMAR_H_
#define FACET_SHARD_GRAMMAR_COMPILED_GRAMMAR_H_

// What is inside a CompiledGrammar: for the compiler and the matcher only.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shard/grammar/grammar_compiler.h"
#include "xgrammar/compiler.h"

namespace facet {

// Of the vocabulary: shared by all of a compiler's grammars.
struct MaskVocabulary {
  int32_t ids = 0;
  std::vector<int32_t> end_ids;
  int32_t call_end = -1;
  int32_t call_wait = -1;  // only if it is one of end_ids
  int32_t thought_begin = -1;
  int32_t thought_end = -1;
  // What may ever stand in an answer: text, end ids and the tokens of calls.
  std::vector<uint32_t> answer_mask;
  // What may stand in a thought: text, and the token that ends it.
  std::vector<uint32_t> thought_mask;
};

struct CompiledGrammar::Parts {
  std::shared_ptr<const MaskVocabulary> vocabulary;
  xgrammar::CompiledGrammar grammar;
  size_t bytes = 0;
};

// The message of an exception of the library, without the place in its sources.
std::string LibraryMessage(const std::exception& error);

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_COMPILED_GRAMMAR_H_
