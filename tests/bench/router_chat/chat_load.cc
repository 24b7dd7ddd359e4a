#include "tests/bench/router_chat/chat_load.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/time/clock.h"

namespace facet {
namespace {

// What one chat brings; may be filled from any thread.
class Results {
 public:
  void Add(bool ok, absl::Duration first_token, int64_t tokens, int64_t deltas) {
    std::lock_guard<std::mutex> lock(mutex_);
    ++ended_;
    result_.failed += !ok;
    result_.tokens += tokens;
    result_.deltas += deltas;
    if (ok) result_.first_tokens.push_back(first_token);
    changed_.notify_all();
  }
  void WaitFor(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return ended_ >= count; });
  }
  ChatLoadResult Take(absl::Duration elapsed) {
    std::lock_guard<std::mutex> lock(mutex_);
    std::sort(result_.first_tokens.begin(), result_.first_tokens.end());
    result_.elapsed = elapsed;
    return std::move(result_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int ended_ = 0;
  ChatLoadResult result_;
};

// One chat without a thread of its own. Deletes itself.
class ChatReader : public grpc::ClientReadReactor<v1::ChatResponse> {
 public:
  static void Begin(v1::Generation::Stub& stub, const v1::ChatRequest& request, Results* results) {
    auto reader = std::unique_ptr<ChatReader>(new ChatReader(results));
    reader->context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    stub.async()->Chat(&reader->context_, &request, reader.get());
    ChatReader* const started = reader.release();
    started->StartRead(&started->message_);
    started->StartCall();
  }

 private:
  explicit ChatReader(Results* results) : results_(results) {}

  void OnReadDone(bool ok) override {
    if (!ok) return;
    if (tokens_ == 0 && message_.has_delta()) first_token_ = absl::Now() - began_;
    tokens_ += message_.delta().token_ids_size();
    deltas_ += message_.has_delta();
    StartRead(&message_);
  }
  void OnDone(const grpc::Status& status) override {
    const std::unique_ptr<ChatReader> self(this);
    results_->Add(status.ok() && tokens_ > 0, first_token_, tokens_, deltas_);
  }

  Results* const results_;
  const absl::Time began_ = absl::Now();
  grpc::ClientContext context_;
  v1::ChatResponse message_;
  absl::Duration first_token_;
  int64_t tokens_ = 0, deltas_ = 0;
};

}  // namespace

absl::Duration Quantile(const std::vector<absl::Duration>& sorted, double share) {
  const auto index = static_cast<size_t>(share * static_cast<double>(sorted.size() - 1));
  return sorted[index];
}

v1::ChatRequest UserMessage(const std::string& text, int max_tokens) {
  v1::ChatRequest request;
  v1::ChatMessage* message = request.add_messages();
  message->set_role(v1::ChatMessage::USER);
  message->add_content()->set_text(text);
  request.mutable_stopping()->set_max_tokens(max_tokens);
  return request;
}

ChatLoadResult RunConcurrent(v1::Generation::Stub& stub, const v1::ChatRequest& request, int count,
                             int concurrency) {
  Results results;
  std::atomic<int> next{0};
  const absl::Time began = absl::Now();
  std::vector<std::thread> callers;
  for (int i = 0; i < concurrency; ++i) {
    callers.emplace_back([&] {
      while (next++ < count) {
        Results one;
        ChatReader::Begin(stub, request, &one);
        one.WaitFor(1);
        const ChatLoadResult result = one.Take(absl::ZeroDuration());
        results.Add(result.failed == 0,
                    result.first_tokens.empty() ? absl::ZeroDuration() : result.first_tokens[0],
                    result.tokens, result.deltas);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  return results.Take(absl::Now() - began);
}

ChatLoadResult RunAtRate(v1::Generation::Stub& stub, const v1::ChatRequest& request, int count,
                         double rate) {
  Results results;
  const absl::Time began = absl::Now();
  for (int i = 0; i < count; ++i) {
    absl::SleepFor(began + absl::Seconds(i / rate) - absl::Now());
    ChatReader::Begin(stub, request, &results);
  }
  results.WaitFor(count);
  return results.Take(absl::Now() - began);
}

}  // namespace facet
