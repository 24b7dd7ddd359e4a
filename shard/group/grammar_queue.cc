#include "shard/group/grammar_queue.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace facet {

GrammarQueue::GrammarQueue(GrammarCompiler* compiler, EngineMetrics* metrics)
    : compiler_(compiler), metrics_(metrics) {
  if (compiler == nullptr) return;
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Run(); });
}

GrammarQueue::~GrammarQueue() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  news_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  for (Job& job : jobs_) job.done(absl::UnavailableError("the shard group is stopping"));
}

void GrammarQueue::Compile(GrammarSpec spec, Done done) {
  if (compiler_ == nullptr) {
    done(absl::FailedPreconditionError(
        "this shard group enforces no grammars: its checkpoint has no tokenizer.json"));
    return;
  }
  if (auto known = compiler_->Find(spec)) {
    metrics_->ObserveGrammar(absl::ZeroDuration(), /*cached=*/true);
    done(std::move(known));
    return;
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (jobs_.size() < static_cast<size_t>(kMaxWaiting)) {
      jobs_.push_back({std::move(spec), std::exchange(done, nullptr)});
    }
  }
  if (done == nullptr) {
    news_.notify_one();
  } else {
    done(absl::ResourceExhaustedError(
        absl::StrCat(kMaxWaiting, " grammars wait to be compiled; at most ", kMaxWaiting, " may")));
  }
}

void GrammarQueue::Run() {
  for (;;) {
    std::unique_lock<std::mutex> lock(mutex_);
    news_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    const absl::Time start = absl::Now();
    Result result = compiler_->Compile(job.spec);
    metrics_->ObserveGrammar(absl::Now() - start, /*cached=*/false);
    job.done(std::move(result));
  }
}

}  // namespace facet
