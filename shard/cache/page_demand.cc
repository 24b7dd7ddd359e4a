#include "shard/cache/page_demand.h"

#include <algorithm>

namespace facet {
namespace {

// The most pages that `span` >= 1 consecutive positions touch: the first may be a page's last.
int64_t PagesTouched(int64_t span, int page_tokens) {
  return (span + page_tokens - 2) / page_tokens + 1;
}

}  // namespace

int PagesFor(int positions, int page_tokens) {
  return static_cast<int>((int64_t{positions} + page_tokens - 1) / page_tokens);
}

PageDemand WorstCaseDemand(const KvLayout& layout, int positions, int chunk_tokens) {
  const int all = PagesFor(positions, layout.page_tokens);
  PageDemand demand;
  if (layout.has_global) demand.global = all;
  if (layout.has_sliding) {
    const int64_t span = int64_t{layout.sliding_window} - 1 + chunk_tokens;
    demand.sliding =
        static_cast<int>(std::min<int64_t>(all, PagesTouched(span, layout.page_tokens)));
  }
  return demand;
}

PageDemand DemandBeyondPrefix(const PageDemand& demand, const PrefixHit& hit) {
  return {std::max(0, demand.global - hit.pages.global) + hit.cached.global,
          std::max(0, demand.sliding - hit.pages.sliding) + hit.cached.sliding};
}

}  // namespace facet
