#include "shard/collective/testing/in_process_collective.h"

#include <utility>

#include "base/log.h"
#include "shard/collective/shm_rank.h"
#include "shard/collective/shm_segment.h"
#include "shard/collective/single_collective.h"

namespace facet {

std::vector<std::unique_ptr<Collective>> MakeInProcessGroup(int world_size,
                                                            absl::Duration timeout) {
  std::vector<std::unique_ptr<Collective>> group;
  if (world_size == 1) {
    group.push_back(std::make_unique<SingleCollective>());
    return group;
  }
  auto segment = ShmSegment::CreateAnonymous({world_size, size_t{64} << 10});
  FACET_CHECK(segment.ok()) << segment.status().ToString();
  const std::shared_ptr<ShmSegment> shared = *std::move(segment);
  for (int r = 0; r < world_size; ++r) {
    ShmRank::Options options;
    options.rank = r;
    options.world_size = world_size;
    options.timeout = timeout;
    group.push_back(std::make_unique<ShmRank>(options, shared));
  }
  return group;
}

}  // namespace facet
