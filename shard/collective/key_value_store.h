#ifndef FACET_SHARD_COLLECTIVE_KEY_VALUE_STORE_H_
#define FACET_SHARD_COLLECTIVE_KEY_VALUE_STORE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace facet {

// Where ranks that do not know each other yet leave their addresses. Values are bytes.
// Thread-safe.
class KeyValueStore {
 public:
  virtual ~KeyValueStore() = default;

  // Visible to the Get() of every rank once it has returned. A key is set at most once.
  virtual absl::Status Set(const std::string& key, const std::string& value) = 0;

  // Waits for the key. DeadlineExceeded if nobody sets it within `timeout`.
  virtual absl::StatusOr<std::string> Get(const std::string& key, absl::Duration timeout) = 0;
};

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_KEY_VALUE_STORE_H_
