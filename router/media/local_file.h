#ifndef FACET_ROUTER_MEDIA_LOCAL_FILE_H_
#define FACET_ROUTER_MEDIA_LOCAL_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace facet {

// The contents of a file: URL, whose file lies below one of `roots` (as realpath gives them) once
// all links are followed. It is the opened file that is looked at, so nobody can put another in its
// place in between. InvalidArgument: it does not lie there, whether or not there is such a file; it
// has more than `max_bytes`; it is no plain file.
absl::StatusOr<std::string> ReadFileUrl(const std::string& url,
                                        const std::vector<std::string>& roots, int64_t max_bytes);

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_LOCAL_FILE_H_
