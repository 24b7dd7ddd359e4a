#ifndef FACET_SHARD_COLLECTIVE_TESTING_COLLECTIVE_CONTRACT_H_
#define FACET_SHARD_COLLECTIVE_TESTING_COLLECTIVE_CONTRACT_H_

// What every Collective has to do (collective.h), as one test suite. A test binary per transport
// links it and says INSTANTIATE_COLLECTIVE_CONTRACT with its ways to make a group.

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "shard/collective/collective.h"

namespace facet {

using Group = std::vector<std::unique_ptr<Collective>>;
using GroupFactory = std::function<Group(int world_size, absl::Duration timeout)>;

struct ContractCase {
  std::string name;  // of the transport
  int world_size = 1;
  GroupFactory make;
};

void PrintTo(const ContractCase& c, std::ostream* out);

// Name and factory.
using Transports = std::vector<std::pair<std::string, GroupFactory>>;

// `transports` x world sizes from `least_world_size` to 5.
std::vector<ContractCase> ContractCases(const Transports& transports, int least_world_size);
std::string ContractCaseName(const ::testing::TestParamInfo<ContractCase>& info);

// Makes a group whose ranks are threads: `connect(rank)` runs on all of them at once.
Group ConnectOnThreads(int world_size,
                       const std::function<std::unique_ptr<Collective>(int rank)>& connect);

class CollectiveContractTest : public ::testing::TestWithParam<ContractCase> {};
// What concerns the others: needs at least two ranks.
class CollectivePeersTest : public ::testing::TestWithParam<ContractCase> {};

#define INSTANTIATE_COLLECTIVE_CONTRACT(prefix, transports)                                      \
  INSTANTIATE_TEST_SUITE_P(prefix, CollectiveContractTest,                                       \
                           ::testing::ValuesIn(ContractCases(transports, 1)), ContractCaseName); \
  INSTANTIATE_TEST_SUITE_P(prefix, CollectivePeersTest,                                          \
                           ::testing::ValuesIn(ContractCases(transports, 2)), ContractCaseName)

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_TESTING_COLLECTIVE_CONTRACT_H_
