#ifndef FACET_SHARD_COLLECTIVE_TESTING_FILE_STORE_H_
#define FACET_SHARD_COLLECTIVE_TESTING_FILE_STORE_H_

#include <string>

#include "shard/collective/key_value_store.h"

namespace facet {

// For ranks that are processes: a file a key, in a folder that exists and that all of them see.
class FileStore final : public KeyValueStore {
 public:
  explicit FileStore(const std::string& folder) : folder_(folder) {}

  absl::Status Set(const std::string& key, const std::string& value) override;
  absl::StatusOr<std::string> Get(const std::string& key, absl::Duration timeout) override;

 private:
  std::string PathOf(const std::string& key) const;

  const std::string folder_;
};

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_TESTING_FILE_STORE_H_
