#include "shard/group/leader_store.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace facet {

absl::Status LeaderStore::Set(const std::string& key, const std::string& value) {
  if (key.size() > kMaxKeyBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a key of ", key.size(), " bytes; at most ", kMaxKeyBytes));
  }
  if (value.size() > kMaxValueBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the value of key ", key, " has ", value.size(),
                                                   " bytes; at most ", kMaxValueBytes));
  }
  std::lock_guard<std::mutex> lock(mutex_);
  if (values_.size() >= kMaxKeys) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the store holds ", kMaxKeys, " keys already"));
  }
  if (!values_.emplace(key, value).second) {
    return absl::AlreadyExistsError(absl::StrCat("key ", key, " is set already"));
  }
  changed_.notify_all();
  return absl::OkStatus();
}

absl::StatusOr<std::string> LeaderStore::Get(const std::string& key, absl::Duration timeout) {
  return Get(key, timeout, [] { return false; });
}

absl::StatusOr<std::string> LeaderStore::Get(const std::string& key, absl::Duration timeout,
                                             const std::function<bool()>& gone) {
  const absl::Time deadline = absl::Now() + timeout;
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    if (const auto it = values_.find(key); it != values_.end()) return it->second;
    if (gone()) return absl::CancelledError("the reader left");
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("nobody set key ", key, " within ", absl::FormatDuration(timeout)));
    }
    changed_.wait_for(lock, std::chrono::milliseconds(20));
  }
}

}  // namespace facet
