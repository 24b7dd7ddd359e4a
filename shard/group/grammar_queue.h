#ifndef FACET_SHARD_GROUP_GRAMMAR_QUEUE_H_
#define FACET_SHARD_GROUP_GRAMMAR_QUEUE_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "shard/grammar/grammar_compiler.h"
#include "shard/grammar/grammar_spec.h"
#include "shard/group/metrics.h"

namespace facet {

// Compiles the grammars of new requests on threads of its own, so that a slow one holds up neither
// steps nor other requests. Thread-safe.
class GrammarQueue {
 public:
  using Result = absl::StatusOr<std::shared_ptr<const CompiledGrammar>>;
  using Done = std::function<void(Result)>;

  static constexpr int kThreads = 2;
  static constexpr int kMaxWaiting = 32;

  // Borrowed. No compiler: every grammar is refused with FailedPrecondition.
  GrammarQueue(GrammarCompiler* compiler, EngineMetrics* metrics);
  // What waits is done with Unavailable; a compilation under way is waited for, within its limit.
  ~GrammarQueue();

  // Calls `done` once: at once for a grammar that is known or cannot be taken, else on a thread of
  // the queue. The errors are GrammarCompiler::Compile's; ResourceExhausted too if kMaxWaiting
  // grammars wait.
  void Compile(GrammarSpec spec, Done done);

 private:
  struct Job {
    GrammarSpec spec;
    Done done;
  };
  void Run();

  GrammarCompiler* const compiler_;
  EngineMetrics* const metrics_;
  std::mutex mutex_;
  std::condition_variable news_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_GRAMMAR_QUEUE_H_
