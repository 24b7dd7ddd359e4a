#ifndef FACET_BASE_CONTENT_CACHE_H_
#define FACET_BASE_CONTENT_CACHE_H_

// What encoders, and routers of them, remember: results by the content that they were made of.

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace facet {

// SHA-256, whole: two contents never share one.
using ContentKey = std::array<uint8_t, 32>;

// Of the pieces of a medium's bytes, each by itself, and of everything else that decides the
// result, as text ("image 280").
ContentKey MakeContentKey(absl::string_view settings, absl::Span<const absl::string_view> pieces);

// A map from content to a result, the least recently used thrown away first. Thread-safe.
template <typename Value>
class ContentCache {
 public:
  // 0 bytes: it remembers nothing.
  explicit ContentCache(int64_t max_bytes) : max_bytes_(max_bytes) {}

  // Null: not known.
  std::shared_ptr<const Value> Find(const ContentKey& key) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return found->second->value;
  }

  // `bytes`: what the value takes. One that is larger than the cache is not kept.
  void Insert(const ContentKey& key, std::shared_ptr<const Value> value, int64_t bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (bytes > max_bytes_ || entries_.contains(key)) return;
    order_.push_front({key, std::move(value), bytes});
    entries_[key] = order_.begin();
    bytes_ += bytes;
    while (bytes_ > max_bytes_) {
      bytes_ -= order_.back().bytes;
      entries_.erase(order_.back().key);
      order_.pop_back();
    }
  }

  int64_t bytes() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return bytes_;
  }

 private:
  struct Entry {
    ContentKey key;
    std::shared_ptr<const Value> value;
    int64_t bytes = 0;
  };

  const int64_t max_bytes_;
  mutable std::mutex mutex_;
  std::list<Entry> order_;  // the last used first
  absl::flat_hash_map<ContentKey, typename std::list<Entry>::iterator> entries_;
  int64_t bytes_ = 0;
};

}  // namespace facet

#endif  // FACET_BASE_CONTENT_CACHE_H_
