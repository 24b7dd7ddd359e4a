#include "shard/group/engine_connection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace facet {
namespace {

int64_t Quarters(const EngineOutput& output) {
  int64_t out = 4;
  for (const auto* tokens : {&output.prompt, &output.tokens}) {
    for (const SampledToken& token : *tokens) {
      out += 4 + static_cast<int64_t>(token.top_logprobs.size());
    }
  }
  return out;
}

}  // namespace

std::vector<EngineOutput> EngineConnection::Take() {
  std::lock_guard<std::mutex> lock(mutex_);
  buffered_quarters_ = 0;
  return std::exchange(buffer_, {});
}

absl::Status EngineConnection::status() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return closed_;
}

void EngineConnection::Detach() {
  {
    std::lock_guard<std::mutex> lock(notify_mutex_);
    on_news_ = nullptr;
  }
  Close(absl::CancelledError("the reader left"));
  std::lock_guard<std::mutex> lock(mutex_);
  buffer_.clear();
}

bool EngineConnection::Open(uint64_t id, int completions) {
  FACET_CHECK(completions >= 1 && completions <= kMaxCompletions) << completions;
  const auto all = static_cast<uint32_t>((uint64_t{1} << completions) - 1);
  std::lock_guard<std::mutex> lock(mutex_);
  return closed_.ok() && open_.try_emplace(id, all).second;
}

bool EngineConnection::IsOpen(uint64_t id) const {
  std::lock_guard<std::mutex> lock(mutex_);
  return open_.contains(id);
}

int EngineConnection::open_requests() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int>(open_.size());
}

// Whether the output belongs to something open; its finish then ends that.
bool EngineConnection::EnterLocked(const EngineOutput& output) {
  const auto found = open_.find(output.id);
  if (found == open_.end()) return false;
  const bool of_all = output.index == EngineOutput::kAllCompletions || output.started.has_value() ||
                      !output.prompt.empty();
  const uint32_t completion = uint32_t{1} << std::max(output.index, 0);
  if (!of_all && (found->second & completion) == 0) return false;
  if (!output.finish.has_value()) return true;
  found->second &= output.index == EngineOutput::kAllCompletions ? 0 : ~completion;
  if (found->second == 0) open_.erase(found);
  return true;
}

bool EngineConnection::Push(std::vector<EngineOutput> outputs) {
  bool news = false;
  bool within_bound = true;
  bool hopeless = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!closed_.ok()) return true;
    for (EngineOutput& output : outputs) {
      if (!EnterLocked(output)) continue;
      buffered_quarters_ += Quarters(output);
      buffer_.push_back(std::move(output));
      news = true;
    }
    within_bound = buffered_quarters_ <= int64_t{4} * max_buffered_;
    hopeless = buffered_quarters_ > int64_t{8} * max_buffered_;
  }
  if (hopeless) {
    Close(absl::ResourceExhaustedError(absl::StrCat("the reader is too slow: twice the limit of ",
                                                    max_buffered_, " buffered outputs is passed")));
  } else if (news) {
    Notify();
  }
  return within_bound;
}

void EngineConnection::Close(absl::Status reason) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!closed_.ok()) return;
    closed_ = std::move(reason);
    open_.clear();
  }
  Notify();
}

void EngineConnection::Notify() {
  std::lock_guard<std::mutex> lock(notify_mutex_);
  if (on_news_) on_news_();
}

}  // namespace facet
