#include "shard/cache/sequence_pages.h"

#include <algorithm>
#include <limits>

#include "base/log.h"
#include "base/status_macros.h"

namespace facet {

SequencePages::SequencePages(const KvLayout& layout, const KvPools& pools)
    : layout_(layout), pools_(pools) {
  FACET_CHECK(layout.page_tokens >= 1) << layout.page_tokens;
  FACET_CHECK(layout.has_global == (pools.global != nullptr));
  FACET_CHECK(layout.has_sliding == (pools.sliding != nullptr));
  FACET_CHECK(!layout.has_sliding || layout.sliding_window >= 1) << layout.sliding_window;
}

SequencePages::~SequencePages() { ReleaseAll(); }

int SequencePages::ReservableEnd() const {
  int64_t free = std::numeric_limits<int32_t>::max();
  if (pools_.global != nullptr) free = std::min<int64_t>(free, pools_.global->free_pages());
  if (pools_.sliding != nullptr) free = std::min<int64_t>(free, pools_.sliding->free_pages());
  const int64_t end = (blocks_ + free) * layout_.page_tokens;
  return static_cast<int>(std::min<int64_t>(end, std::numeric_limits<int32_t>::max()));
}

absl::Status SequencePages::Reserve(int end) {
  const int missing = PagesFor(end, layout_.page_tokens) - blocks_;
  if (missing <= 0) return absl::OkStatus();
  if (pools_.global != nullptr) {
    FACET_RETURN_IF_ERROR(pools_.global->Allocate(missing, &global_));
  }
  if (pools_.sliding != nullptr) {
    if (absl::Status status = pools_.sliding->Allocate(missing, &sliding_); !status.ok()) {
      if (pools_.global != nullptr) {
        pools_.global->Release(global().subspan(blocks_));
        global_.resize(blocks_);
      }
      return status;
    }
  }
  blocks_ += missing;
  return absl::OkStatus();
}

void SequencePages::ReleaseBehindWindow(int next_position) {
  if (pools_.sliding == nullptr) return;
  const int first_key = std::max(0, next_position - (layout_.sliding_window - 1));
  const int start = std::min(first_key / layout_.page_tokens, blocks_);
  if (start <= sliding_start_) return;
  pools_.sliding->Release(sliding().subspan(sliding_start_, start - sliding_start_));
  std::fill(sliding_.begin() + sliding_start_, sliding_.begin() + start, -1);
  sliding_start_ = start;
}

void SequencePages::ReleaseAll() {
  if (pools_.global != nullptr) pools_.global->Release(global_);
  if (pools_.sliding != nullptr) pools_.sliding->Release(sliding().subspan(sliding_start_));
  global_.clear();
  sliding_.clear();
  blocks_ = 0;
  sliding_start_ = 0;
}

PageDemand SequencePages::held() const {
  PageDemand held;
  held.global = static_cast<int>(global_.size());
  held.sliding = static_cast<int>(sliding_.size()) - sliding_start_;
  return held;
}

}  // namespace facet
