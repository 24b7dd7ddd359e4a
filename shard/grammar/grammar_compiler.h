#ifndef FACET_SHARD_GRAMMAR_GRAMMAR_COMPILER_H_
#define FACET_SHARD_GRAMMAR_GRAMMAR_COMPILER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "shard/grammar/grammar_spec.h"
#include "shard/grammar/grammar_vocabulary.h"

namespace facet {

// A grammar made ready for one vocabulary: immutable, shared by any number of matchers on any
// threads. Outlives its compiler.
class CompiledGrammar {
 public:
  ~CompiledGrammar();
  CompiledGrammar(const CompiledGrammar&) = delete;
  CompiledGrammar& operator=(const CompiledGrammar&) = delete;

  size_t bytes() const;
  // Entries of a row of logits; a mask has MaskWords(mask_ids()) words.
  int32_t mask_ids() const;
  // What of the schemas of tools that are not strict was left out: "TOOL: /POINTER/KEYWORD: why".
  const std::vector<std::string>& not_enforced() const;

 private:
  friend class GrammarCompiler;
  friend class GrammarMatcher;
  friend class ThoughtGate;
  struct Parts;
  explicit CompiledGrammar(std::unique_ptr<const Parts> parts);
  std::unique_ptr<const Parts> parts_;
};

struct GrammarCompilerOptions {
  // Compiled grammars that are kept for later requests: the least recently used go first.
  size_t cache_bytes = size_t{256} << 20;
  // A grammar that comes to more is refused.
  size_t max_grammar_bytes = size_t{64} << 20;
};

// Turns specs into compiled grammars for one vocabulary.
//
// Thread-safe. Compile takes milliseconds, for the largest grammars some tenths of a second; no
// thread that runs steps calls it.
class GrammarCompiler {
 public:
  // The vocabulary must hold at least one piece and one end id, else FailedPrecondition.
  static absl::StatusOr<std::unique_ptr<GrammarCompiler>> Create(
      const GrammarVocabulary& vocabulary, const GrammarCompilerOptions& options);
  ~GrammarCompiler();
  GrammarCompiler(const GrammarCompiler&) = delete;
  GrammarCompiler& operator=(const GrammarCompiler&) = delete;

  // InvalidArgument: the grammar is unsound, unsupported (the message begins with the JSON pointer
  // for a schema), or over a limit. FailedPrecondition: the vocabulary has no tokens for tool
  // calls.
  absl::StatusOr<std::shared_ptr<const CompiledGrammar>> Compile(const GrammarSpec& spec);

  // A grammar that Compile has in its cache; null: it has not.
  std::shared_ptr<const CompiledGrammar> Find(const GrammarSpec& spec);

  // The EBNF that Compile hands on: for tests and logs. Same errors.
  // Adds to `not_enforced`, if it is given, what CompiledGrammar has.
  absl::StatusOr<std::string> ToEbnf(const GrammarSpec& spec,
                                     std::vector<std::string>* not_enforced = nullptr) const;

  size_t cached_bytes() const;
  int64_t cache_hits() const;

 private:
  struct Shared;
  explicit GrammarCompiler(std::unique_ptr<Shared> shared);
  const std::unique_ptr<Shared> shared_;
};

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_GRAMMAR_COMPILER_H_
