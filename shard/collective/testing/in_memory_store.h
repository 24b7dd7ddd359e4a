#ifndef FACET_SHARD_COLLECTIVE_TESTING_IN_MEMORY_STORE_H_
#define FACET_SHARD_COLLECTIVE_TESTING_IN_MEMORY_STORE_H_

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>

#include "absl/strings/str_cat.h"
#include "shard/collective/key_value_store.h"

namespace facet {

// For ranks that are threads of one process.
class InMemoryStore final : public KeyValueStore {
 public:
  absl::Status Set(const std::string& key, const std::string& value) override {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!values_.emplace(key, value).second) {
      return absl::AlreadyExistsError(absl::StrCat("key ", key, " is set already"));
    }
    changed_.notify_all();
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Get(const std::string& key, absl::Duration timeout) override {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                           [&] { return values_.count(key) > 0; })) {
      return absl::DeadlineExceededError(absl::StrCat("nobody set key ", key));
    }
    return values_.at(key);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string> values_;  // guarded by mutex_
};

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_TESTING_IN_MEMORY_STORE_H_
