#ifndef FACET_SHARD_COLLECTIVE_TESTING_GLOO_PROCESS_CONTRACT_H_
#define FACET_SHARD_COLLECTIVE_TESTING_GLOO_PROCESS_CONTRACT_H_

// What Gloo groups of real processes have to bear: death, silence, absence. A test binary links it
// and instantiates GlooProcessTest with places for the processes to run in.

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "shard/collective/gloo_collective.h"

namespace facet {

// Where the ranks run, and the address of each there.
class Place {
 public:
  virtual ~Place() = default;
  // In the rank's process, before it does anything else.
  virtual bool Enter(int rank) const = 0;
  // Sets `interface` or `hostname`.
  virtual void SetAddress(GlooCollectiveOptions& options) const = 0;
  // Cuts the rank off without ending a connection. Unimplemented where that cannot be done.
  virtual absl::Status Unplug(int rank) = 0;
};

struct PlaceCase {
  std::string name;
  // PermissionDenied: not on this machine.
  std::function<absl::StatusOr<std::unique_ptr<Place>>(int ranks)> make;
};
inline void PrintTo(const PlaceCase& c, std::ostream* out) { *out << c.name; }

class GlooProcessTest : public ::testing::TestWithParam<PlaceCase> {};

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_TESTING_GLOO_PROCESS_CONTRACT_H_
