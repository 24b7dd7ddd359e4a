#include "shard/grammar/grammar_matcher.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/grammar/apply_mask.h"
#include "shard/grammar/automaton/mask_builder.h"
#include "shard/grammar/compiled_grammar.h"

namespace facet {
namespace {

// In a budget's steps, of some 5 ns. One mask may take 20 ms; all of a sequence's together 0.5 s,
// and 2 ms more for each token.
constexpr int64_t kMaskWork = 4'000'000;
constexpr int64_t kSequenceWork = 100'000'000;
constexpr int64_t kWorkPerToken = 400'000;

absl::Status TooMuchWork(int64_t limit) {
  return absl::ResourceExhaustedError(absl::StrCat(
      "grammar: there are too many ways to read the answer so far; the next token would take more "
      "than the limit of ",
      limit, " steps"));
}

}  // namespace

struct GrammarMatcher::State {
  using Parts = CompiledGrammar::Parts;

  explicit State(std::shared_ptr<const CompiledGrammar> compiled, const Parts& parts)
      : grammar(std::move(compiled)), parts(&parts), cache(parts.Cache()) {}

  const MaskVocabulary& vocabulary() const { return *parts->vocabulary; }

  // Does `action(work)`, which gives a state, kFull or kExhausted, with the cache locked, in a
  // fresh cache if this one is full.
  template <typename Action>
  absl::StatusOr<int32_t> InCache(Action action) {
    for (int round = 0; round < 3; ++round) {
      const int64_t limit = std::min(kMaskWork, credit);
      WorkBudget work{limit};
      int32_t result = StateCache::kFull;
      {
        const std::lock_guard lock(cache->mutex);
        if (states.empty()) Replay(&work);
        result = states.empty() ? StateCache::kFull : action(&work);
      }
      credit -= limit - std::max<int64_t>(0, work.left);
      if (work.exhausted()) return TooMuchWork(limit);
      if (result != StateCache::kFull) return result;
      FACET_RETURN_IF_ERROR(Move());
    }
    return TooMuchWork(kMaskWork);
  }

  // From the start once more; leaves `states` empty if there is no room for them.
  void Replay(WorkBudget* work) {
    int32_t state = cache->Start(work);
    for (const int32_t id : ids) {
      if (state > 0 && !vocabulary().IsEnd(id)) state = After(state, id, work);
    }
    if (state > 0) states = {state};
  }

  // To a cache with room. The history before this point is left behind.
  absl::Status Move() {
    const std::shared_ptr<StateCache> old = std::exchange(cache, parts->Cache(cache.get()));
    const std::scoped_lock lock(old->mutex, cache->mutex);
    WorkBudget work{kMaskWork};
    const int32_t state = states.empty() ? -1 : cache->ImportFrom(*old, states.back(), &work);
    states.clear();
    if (state >= 0) states.push_back(state);
    return absl::OkStatus();
  }

  int32_t After(int32_t state, int32_t id, WorkBudget* work) const {
    const std::string& piece = vocabulary().pieces[static_cast<size_t>(id)];
    if (piece.empty()) return cache->NextToken(state, id, work);
    for (const char c : piece) {
      if (state <= 0) break;
      state = cache->NextByte(state, static_cast<uint8_t>(c), work);
    }
    return state;
  }

  // After a call the answer ends with <|tool_response>, and only there.
  bool IsWrongEnd(int32_t id) const {
    if (vocabulary().call_wait < 0) return false;
    const bool after_call = !ids.empty() && ids.back() == vocabulary().call_end;
    return (id == vocabulary().call_wait) != after_call;
  }

  std::shared_ptr<const CompiledGrammar> grammar;
  const Parts* parts;
  std::shared_ptr<StateCache> cache;
  std::vector<int32_t> ids;     // accepted
  std::vector<int32_t> states;  // in the cache: the one now, and before it those it came from
  bool terminated = false;
  int64_t credit = kSequenceWork;
};

GrammarMatcher::GrammarMatcher(std::shared_ptr<const CompiledGrammar> grammar)
    : state_(std::make_unique<State>(grammar, *grammar->parts_)) {}
GrammarMatcher::GrammarMatcher(std::unique_ptr<State> state) : state_(std::move(state)) {}
GrammarMatcher::~GrammarMatcher() = default;
GrammarMatcher::GrammarMatcher(GrammarMatcher&&) noexcept = default;
GrammarMatcher& GrammarMatcher::operator=(GrammarMatcher&&) noexcept = default;

GrammarMatcher GrammarMatcher::Clone() const {
  return GrammarMatcher(std::make_unique<State>(*state_));
}

absl::Status GrammarMatcher::FillMask(absl::Span<uint32_t> mask) {
  State& s = *state_;
  const MaskVocabulary& vocabulary = s.vocabulary();
  const size_t words = MaskWords(static_cast<size_t>(vocabulary.ids));
  if (mask.size() < words) {
    return absl::InvalidArgumentError(
        absl::StrCat("a mask of ", mask.size(), " words; needed are ", words));
  }
  if (s.terminated) {
    std::fill(mask.begin(), mask.end(), 0);
    return absl::OkStatus();
  }
  const auto fill = [&](WorkBudget* work) -> int32_t {
    const int32_t state = s.states.back();
    const std::vector<uint32_t>* known = s.cache->FindMask(state);
    if (known == nullptr) {
      std::vector<uint32_t> made;
      const MaskResult result = BuildMask(vocabulary.index, s.cache.get(), state, work, &made);
      if (result == MaskResult::kFull) return StateCache::kFull;
      if (result == MaskResult::kExhausted) return StateCache::kExhausted;
      known = s.cache->KeepMask(state, std::move(made));
    }
    std::copy(known->begin(), known->end(), mask.begin());
    return s.cache->IsComplete(state) ? 1 : 0;
  };
  FACET_ASSIGN_OR_RETURN(const int32_t complete, s.InCache(fill));
  s.credit = std::min(kSequenceWork, s.credit + kWorkPerToken);
  for (const int32_t id : vocabulary.end_ids) {
    if (complete == 0 || s.IsWrongEnd(id)) continue;
    mask[static_cast<size_t>(id / 32)] |= uint32_t{1} << (id % 32);
  }
  return absl::OkStatus();
}

absl::Status GrammarMatcher::Accept(int32_t id) {
  State& s = *state_;
  const auto refused = [id] {
    return absl::InvalidArgumentError(absl::StrCat("the grammar does not allow id ", id));
  };
  if (id < 0 || id >= s.vocabulary().ids || s.terminated) return refused();
  if (s.vocabulary().IsEnd(id)) {
    if (!IsComplete() || s.IsWrongEnd(id)) return refused();
    s.terminated = true;
    s.states.push_back(s.states.back());
    s.ids.push_back(id);
    return absl::OkStatus();
  }
  FACET_ASSIGN_OR_RETURN(const int32_t next, s.InCache([&](WorkBudget* work) {
    return s.After(s.states.back(), id, work);
  }));
  if (next == StateCache::kDead) return refused();
  s.states.push_back(next);
  s.ids.push_back(id);
  return absl::OkStatus();
}

absl::Status GrammarMatcher::Rollback(int count) {
  if (count < 0 || count > accepted()) {
    return absl::InvalidArgumentError(
        absl::StrCat("rolling back ", count, " of ", accepted(), " ids"));
  }
  if (count == 0) return absl::OkStatus();
  State& s = *state_;
  s.ids.resize(s.ids.size() - static_cast<size_t>(count));
  s.states.resize(s.states.size() - std::min(s.states.size(), static_cast<size_t>(count)));
  s.terminated = false;
  return absl::OkStatus();
}

bool GrammarMatcher::IsTerminated() const { return state_->terminated; }
bool GrammarMatcher::IsComplete() const {
  const auto complete = state_->InCache(
      [this](WorkBudget*) { return state_->cache->IsComplete(state_->states.back()) ? 1 : 0; });
  return complete.ok() && *complete == 1;
}
int GrammarMatcher::accepted() const { return static_cast<int>(state_->ids.size()); }
const CompiledGrammar& GrammarMatcher::grammar() const { return *state_->grammar; }

}  // namespace facet
