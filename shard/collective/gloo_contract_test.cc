// The contract of Collective over Gloo: ranks are threads that talk over loopback.

#include <memory>

#include "base/log.h"
#include "gtest/gtest.h"
#include "shard/collective/gloo_collective.h"
#include "shard/collective/testing/collective_contract.h"
#include "shard/collective/testing/in_memory_store.h"

namespace facet {
namespace {

GroupFactory Loopback(size_t chunk_bytes) {
  return [chunk_bytes](int world_size, absl::Duration timeout) {
    InMemoryStore store;
    return ConnectOnThreads(world_size, [&](int rank) {
      GlooCollectiveOptions options;
      options.rank = rank;
      options.world_size = world_size;
      options.hostname = "127.0.0.1";
      options.key_prefix = "group";
      options.chunk_bytes = chunk_bytes;
      options.timeout = timeout;
      auto collective = CreateGlooCollective(options, store);
      FACET_CHECK(collective.ok()) << collective.status().ToString();
      return *std::move(collective);
    });
  };
}

INSTANTIATE_COLLECTIVE_CONTRACT(Gloo, (Transports{
                                          {"loopback", Loopback(size_t{512} << 10)},
                                      }));

// A group takes long to set up and to take down, so what depends on the size of chunks is tried
// with few ranks only.
INSTANTIATE_TEST_SUITE_P(GlooInChunks, CollectiveContractTest,
                         ::testing::Values(ContractCase{"small_chunks", 2, Loopback(4096)},
                                           ContractCase{"small_chunks", 3, Loopback(8192)}),
                         ContractCaseName);

}  // namespace
}  // namespace facet
