#ifndef FACET_SHARD_COLLECTIVE_TESTING_IN_PROCESS_COLLECTIVE_H_
#define FACET_SHARD_COLLECTIVE_TESTING_IN_PROCESS_COLLECTIVE_H_

#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "shard/collective/collective.h"

namespace facet {

// A group whose ranks are threads of this process: element r belongs to the thread that plays rank
// r. It is the shared memory implementation itself, on memory without a name, and it never spins,
// so many more threads than cores are fine.
std::vector<std::unique_ptr<Collective>> MakeInProcessGroup(
    int world_size, absl::Duration timeout = absl::Seconds(30));

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_TESTING_IN_PROCESS_COLLECTIVE_H_
