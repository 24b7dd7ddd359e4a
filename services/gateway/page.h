#ifndef FACET_SERVICES_GATEWAY_PAGE_H_
#define FACET_SERVICES_GATEWAY_PAGE_H_

#include "absl/strings/string_view.h"

namespace facet {

// The chat page at `/`: one HTML file, compiled in (page.html).
absl::string_view PageHtml();

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_PAGE_H_
