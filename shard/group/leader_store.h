#ifndef FACET_SHARD_GROUP_LEADER_STORE_H_
#define FACET_SHARD_GROUP_LEADER_STORE_H_

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shard/collective/key_value_store.h"

namespace facet {

// The values of the rendezvous, in the leader's memory. Thread-safe.
class LeaderStore final : public KeyValueStore {
 public:
  // What one group may leave here: far more than it needs.
  static constexpr size_t kMaxKeys = 4096;
  static constexpr size_t kMaxKeyBytes = 256;
  static constexpr size_t kMaxValueBytes = 64 << 10;

  // InvalidArgument on a key or value that is too long, ResourceExhausted on too many keys,
  // AlreadyExists if the key is set.
  absl::Status Set(const std::string& key, const std::string& value) override;
  absl::StatusOr<std::string> Get(const std::string& key, absl::Duration timeout) override;

  // As Get; gives up with Cancelled when `gone` says so (asked every 20 ms).
  absl::StatusOr<std::string> Get(const std::string& key, absl::Duration timeout,
                                  const std::function<bool()>& gone);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string> values_;
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_LEADER_STORE_H_
