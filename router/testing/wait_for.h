#ifndef FACET_ROUTER_TESTING_WAIT_FOR_H_
#define FACET_ROUTER_TESTING_WAIT_FOR_H_

#include <functional>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace facet::testing {

// Polls until `condition` holds; whether it did within the limit.
inline bool WaitFor(const std::function<bool()>& condition,
                    absl::Duration limit = absl::Seconds(10)) {
  const absl::Time deadline = absl::Now() + limit;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return true;
}

}  // namespace facet::testing

#endif  // FACET_ROUTER_TESTING_WAIT_FOR_H_
