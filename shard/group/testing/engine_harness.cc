#include "shard/group/testing/engine_harness.h"

#include <chrono>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "prometheus/text_serializer.h"

namespace facet {
namespace {

constexpr std::chrono::seconds kPatience(20);

// Polls: what it looks at tells nobody when it changes.
bool Becomes(const std::function<bool()>& there) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!there()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace

Reader::Reader(LeaderEngine* engine, bool reads) : engine_(engine), reads_(reads) {
  auto connection = engine->Connect([this] { OnNews(); });
  {
    std::lock_guard<std::mutex> lock(mutex_);
    connection_ = std::move(connection);
  }
  OnNews();
}

void Reader::Submit(uint64_t id, EngineRequest request) {
  engine_->Submit(connection_, id, std::move(request));
}
void Reader::Cancel(uint64_t id, std::optional<int> index) {
  engine_->Cancel(connection_, id, index);
}
void Reader::SetPaused(uint64_t id, bool paused) { engine_->SetPaused(connection_, id, paused); }
void Reader::Leave() {
  if (!left_) engine_->Disconnect(connection_);
  left_ = true;
}

void Reader::Read() {
  std::lock_guard<std::mutex> lock(mutex_);
  ReadLocked();
}

void Reader::OnNews() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (reads_ && connection_ != nullptr) ReadLocked();
  changed_.notify_all();
}

void Reader::ReadLocked() {
  for (EngineOutput& output : connection_->Take()) NoteLocked(std::move(output));
  changed_.notify_all();
}

void Reader::NoteLocked(EngineOutput output) {
  RequestStory& request = stories_[output.id];
  if (output.started.has_value()) {
    EXPECT_FALSE(request.started.has_value()) << output.id << " starts twice";
    EXPECT_TRUE(request.prompt.empty()) << output.id << " starts after its prompt";
    request.started = output.started;
  }
  for (const auto& [index, story] : request.completions) {
    if (story.tokens.empty()) continue;
    EXPECT_TRUE(output.prompt.empty()) << output.id << ": prompt after tokens";
    EXPECT_FALSE(output.started.has_value()) << output.id << " starts after tokens";
  }
  request.prompt.insert(request.prompt.end(), output.prompt.begin(), output.prompt.end());
  if (output.tokens.empty() && !output.finish.has_value()) return;
  Story& story = request.completions[output.index];
  EXPECT_FALSE(story.finish.has_value())
      << "output after the finish of " << output.id << ", completion " << output.index;
  for (const SampledToken& token : output.tokens) story.tokens.push_back(token.token);
  if (output.finish.has_value()) story.finish = output.finish;
}

void Reader::WaitUntil(const char* what, std::function<bool()> there) {
  std::unique_lock<std::mutex> lock(mutex_);
  EXPECT_TRUE(changed_.wait_for(lock, kPatience, there)) << what << " does not come";
}

Story Reader::WaitFor(uint64_t id, int index) {
  WaitUntil("the end", [&] {
    return stories_[id].completions[index].finish || stories_[id].completions[-1].finish;
  });
  std::lock_guard<std::mutex> lock(mutex_);
  Story story = stories_[id].completions[index];
  if (!story.finish) story.finish = stories_[id].completions[-1].finish;
  if (!story.finish) story.finish = EngineFinish();  // the test has failed
  return story;
}

void Reader::WaitForTokens(uint64_t id, size_t count, int index) {
  WaitUntil("a token", [&] { return stories_[id].completions[index].tokens.size() >= count; });
}

EngineStart Reader::WaitForStart(uint64_t id) {
  WaitUntil("the start", [&] { return stories_[id].started.has_value(); });
  return Of(id).started.value_or(EngineStart());
}

absl::Status Reader::WaitUntilClosed() {
  WaitUntil("the close", [&] { return !connection_->status().ok(); });
  return connection_->status();
}

RequestStory Reader::Of(uint64_t id) {
  std::lock_guard<std::mutex> lock(mutex_);
  return stories_[id];
}

LeaderEngine::Options EngineTest::DefaultOptions() {
  LeaderEngine::Options options;
  options.vocab_size = kVocab;
  options.scheduler.max_step_tokens = 16;
  options.scheduler.max_running_sequences = 4;
  options.scheduler.max_queue = 8;
  options.scheduler.page_tokens = 4;
  options.scheduler.global_pages = 64;
  options.scheduler.sliding_pages = 32;
  options.scheduler.sliding_window = 8;
  options.scheduler.max_context = 64;
  return options;
}

EngineRequest EngineTest::Greedy(std::vector<int32_t> prompt, int max_tokens) {
  EngineRequest request;
  request.prompt = std::move(prompt);
  request.sampling.temperature = 0;
  request.stopping.max_tokens = max_tokens;
  return request;
}

void EngineTest::Start(LeaderEngine::Options options, Collective* collective) {
  options.on_failure = [this](const absl::Status& status) {
    last_failure_ = status;
    ++failures_;
  };
  auto engine = LeaderEngine::Start(options, &model_, collective ? collective : &alone_,
                                    &step_metrics_, &metrics_);
  ASSERT_THAT(engine, testing::IsOk());
  engine_ = *std::move(engine);
}

std::string EngineTest::Page() {
  return prometheus::TextSerializer().Serialize(registry_.Collect());
}

bool EngineTest::PageShows(const std::string& line) {
  return Becomes([&] { return Page().find(line + "\n") != std::string::npos; });
}

bool EngineTest::EverythingIsFree() {
  return PageShows("facet_kv_pages_used{pool=\"global\"} 0") &&
         PageShows("facet_kv_pages_used{pool=\"sliding\"} 0") &&
         PageShows("facet_requests_running 0") && PageShows("facet_requests_waiting 0") &&
         Becomes([&] { return engine_->idle(); });
}

bool EngineTest::WaitForFailure() {
  return Becomes([&] { return failures_ > 0; });
}

}  // namespace facet
