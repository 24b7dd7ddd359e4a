#ifndef FACET_SERVICES_GATEWAY_API_KEYS_H_
#define FACET_SERVICES_GATEWAY_API_KEYS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace facet {

// The keys that callers may show as `authorization: Bearer <key>`. Thread-safe.
class ApiKeys {
 public:
  // No keys: everybody may call.
  ApiKeys() = default;

  // One key a line; blanks around it, empty lines and lines that begin with # do not count.
  // NotFound if there is no such file, InvalidArgument (with the line's number, never the key) for
  // a key with blanks or other than visible ASCII, and if there is no key in it.
  static absl::StatusOr<ApiKeys> Load(const std::string& path);

  // Unauthenticated unless the value of the header `authorization` shows one of the keys. Takes as
  // long for a nearly right key as for a wrong one.
  absl::Status Check(absl::string_view authorization) const;

 private:
  std::vector<std::string> keys_;
};

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_API_KEYS_H_
