#ifndef FACET_SHARD_GRAMMAR_GRAMMAR_MATCHER_H_
#define FACET_SHARD_GRAMMAR_GRAMMAR_MATCHER_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "shard/grammar/grammar_compiler.h"

namespace facet {

// Where one sequence stands in its grammar. Thread-compatible; one matcher belongs to one sequence.
// Movable; a moved-from matcher may only be destroyed or assigned to.
class GrammarMatcher {
 public:
  explicit GrammarMatcher(std::shared_ptr<const CompiledGrammar> grammar);
  ~GrammarMatcher();
  GrammarMatcher(GrammarMatcher&&) noexcept;
  GrammarMatcher& operator=(GrammarMatcher&&) noexcept;

  // An independent copy in the same state, history for Rollback included.
  GrammarMatcher Clone() const;

  // Sets bit i where id i may come next and clears it elsewhere; `mask` has MaskWords(mask_ids())
  // words. An end id is allowed only where the grammar is complete: <|tool_response> after a call,
  // the other end ids elsewhere. When IsTerminated no bit is set. ResourceExhausted: the grammar is
  // so ambiguous here that the mask would take too long; the sequence should end with the error.
  absl::Status FillMask(absl::Span<uint32_t> mask);

  // InvalidArgument, and the state stays, if the grammar does not allow `id` here: never for an id
  // that FillMask allowed. ResourceExhausted: as FillMask.
  absl::Status Accept(int32_t id);

  // Takes the last `count` accepted ids back: InvalidArgument if there are fewer.
  absl::Status Rollback(int count);

  // An end id was accepted.
  bool IsTerminated() const;
  // The text may end here.
  bool IsComplete() const;
  // Ids accepted and not rolled back.
  int accepted() const;

  const CompiledGrammar& grammar() const;

 private:
  friend class ThoughtGate;
  struct State;
  explicit GrammarMatcher(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_GRAMMAR_MATCHER_H_
