#ifndef FACET_ROUTER_MEDIA_DATA_URL_H_
#define FACET_ROUTER_MEDIA_DATA_URL_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace facet {

// Each %XX is a byte. InvalidArgument: an escape that is none.
absl::StatusOr<std::string> PercentDecode(absl::string_view text);

// The bytes of data:[<type>];base64,<data>. InvalidArgument: it is not one, of no media type,
// empty.
absl::StatusOr<std::string> ReadDataUrl(absl::string_view url);

// "image/png; charset=x": whether it may be an image, audio or a video; a type that says nothing
// (empty, application/octet-stream) may. InvalidArgument names the type.
absl::Status CheckMediaType(absl::string_view content_type);

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_DATA_URL_H_
