// The contract of Collective over shared memory: ranks as threads of one mapping (what tests of
// other parts use), and ranks that each attach to a named segment.

#include <unistd.h>

#include <atomic>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "gtest/gtest.h"
#include "shard/collective/shm_collective.h"
#include "shard/collective/testing/collective_contract.h"
#include "shard/collective/testing/in_process_collective.h"

namespace facet {
namespace {

GroupFactory NamedSegment(size_t slot_bytes) {
  return [slot_bytes](int world_size, absl::Duration timeout) {
    static std::atomic<int> groups{0};
    ShmCollectiveOptions options;
    options.segment_name = absl::StrCat("/facet-contract-", getpid(), "-", ++groups);
    options.world_size = world_size;
    options.slot_bytes = slot_bytes;
    options.timeout = timeout;
    return ConnectOnThreads(world_size, [&options](int rank) {
      ShmCollectiveOptions of_rank = options;
      of_rank.rank = rank;
      auto collective = CreateShmCollective(of_rank);
      FACET_CHECK(collective.ok()) << collective.status().ToString();
      return *std::move(collective);
    });
  };
}

INSTANTIATE_COLLECTIVE_CONTRACT(Shm, (Transports{
                                         {"in_process", MakeInProcessGroup},
                                         {"named_segment", NamedSegment(size_t{512} << 10)},
                                         {"small_slots", NamedSegment(4096)},
                                     }));

}  // namespace
}  // namespace facet
