#include "services/gateway/page.h"

namespace facet {

absl::string_view PageHtml() {
  static constexpr char kPage[] =
#include "services/gateway/page_html.inc"
      ;
  return absl::string_view(kPage, sizeof(kPage) - 1);
}

}  // namespace facet
