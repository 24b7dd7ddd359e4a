#ifndef FACET_SHARD_GRAMMAR_GRAMMAR_COMPILER_H_
#define FACET_SHARD_GRAMMAR_GRAMMAR_COMPILER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
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
  // How long Compile waits. What it gave up on runs to its end in the background.
  absl::Duration max_compile_time = absl::Seconds(10);
  // Compilations at the same time, abandoned ones included; one more is refused.
  int max_running = 2;
};

// Turns specs into compiled grammars for one vocabulary.
//
// Thread-safe. Compile may take a second; it is called by the thread that takes requests in, never
// by the one that runs steps. The destructor waits for compilations that still run.
class GrammarCompiler {
 public:
  // The vocabulary must hold at least one piece and one end id, else FailedPrecondition.
  static absl::StatusOr<std::unique_ptr<GrammarCompiler>> Create(
      const GrammarVocabulary& vocabulary, const GrammarCompilerOptions& options);
  ~GrammarCompiler();
  GrammarCompiler(const GrammarCompiler&) = delete;
  GrammarCompiler& operator=(const GrammarCompiler&) = delete;

  // InvalidArgument: the grammar is unsound, unsupported (the message begins with the JSON pointer
  // for a schema), over a limit, or took too long. ResourceExhausted: max_running compilations are
  // under way; try again. FailedPrecondition: the vocabulary has no tokens for tool calls.
  absl::StatusOr<std::shared_ptr<const CompiledGrammar>> Compile(const GrammarSpec& spec);

  // A grammar that Compile has in its cache; null: it has not.
  std::shared_ptr<const CompiledGrammar> Find(const GrammarSpec& spec);

  // The EBNF that Compile hands on: for tests and logs. Same errors.
  absl::StatusOr<std::string> ToEbnf(const GrammarSpec& spec) const;

  size_t cached_bytes() const;
  int64_t cache_hits() const;

 private:
  struct Shared;
  explicit GrammarCompiler(std::shared_ptr<Shared> shared);
  std::shared_ptr<Shared> shared_;
};

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_GRAMMAR_COMPILER_H_
