#ifndef FACET_SHARD_GROUP_TESTING_ENGINE_HARNESS_H_
#define FACET_SHARD_GROUP_TESTING_ENGINE_HARNESS_H_

// A leader engine over a CountingModel, and routers that read from it.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "prometheus/registry.h"
#include "shard/collective/single_collective.h"
#include "shard/group/leader_engine.h"
#include "shard/group/metrics.h"
#include "shard/group/testing/counting_model.h"

namespace facet {

// What one completion has become.
struct Story {
  std::vector<int32_t> tokens;
  std::optional<EngineFinish> finish;
};

// What concerns its request as a whole.
struct RequestStory {
  std::optional<EngineStart> started;
  std::vector<SampledToken> prompt;
  std::map<int, Story> completions;  // by index; -1: a finish of all
};

// A router: takes everything as soon as it is there, unless told not to. Fails the test where
// outputs come in an order that the engine does not promise.
class Reader {
 public:
  explicit Reader(LeaderEngine* engine, bool reads = true);
  ~Reader() { Leave(); }

  void Submit(uint64_t id, EngineRequest request);
  void Cancel(uint64_t id, std::optional<int> index = std::nullopt);
  void SetPaused(uint64_t id, bool paused);
  void Leave();
  EngineConnection& connection() { return *connection_; }

  // Takes what is there, for a reader that does not do so by itself.
  void Read();

  // Each waits for what it names, and fails the test if that does not come.
  Story WaitFor(uint64_t id, int index = 0);  // its end
  void WaitForTokens(uint64_t id, size_t count, int index = 0);
  EngineStart WaitForStart(uint64_t id);
  absl::Status WaitUntilClosed();

  // So far.
  RequestStory Of(uint64_t id);

 private:
  void OnNews();
  void ReadLocked();
  void NoteLocked(EngineOutput output);
  void WaitUntil(const char* what, std::function<bool()> there);

  LeaderEngine* const engine_;
  const bool reads_;
  bool left_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, RequestStory> stories_;
  std::shared_ptr<EngineConnection> connection_;
};

class EngineTest : public ::testing::Test {
 protected:
  static constexpr int kVocab = 50;

  ~EngineTest() override { model_.Release(); }

  // 4 sequences of up to 64 tokens run, 8 wait; 64 global pages of 4 tokens.
  static LeaderEngine::Options DefaultOptions();
  static EngineRequest Greedy(std::vector<int32_t> prompt, int max_tokens);

  void Start(LeaderEngine::Options options = DefaultOptions(), Collective* collective = nullptr);

  // The page of metrics, as Prometheus would get it.
  std::string Page();
  // Polls the page until it holds `line`: gauges follow a little later.
  bool PageShows(const std::string& line);
  // No page, no sequence and no request is left.
  bool EverythingIsFree();
  // on_failure comes after the readers were told.
  bool WaitForFailure();

  CountingModel model_{kVocab};
  SingleCollective alone_;
  prometheus::Registry registry_;
  StepMetrics step_metrics_{registry_};
  EngineMetrics metrics_{registry_};
  std::atomic<int> failures_{0};
  absl::Status last_failure_;  // written before failures_
  std::unique_ptr<LeaderEngine> engine_;
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_TESTING_ENGINE_HARNESS_H_
