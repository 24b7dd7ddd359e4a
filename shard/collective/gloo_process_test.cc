// Gloo between processes, over loopback.

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "shard/collective/testing/gloo_process_contract.h"

namespace facet {
namespace {

class Loopback final : public Place {
 public:
  bool Enter(int) const override { return true; }
  void SetAddress(GlooCollectiveOptions& options) const override { options.hostname = "localhost"; }
  absl::Status Unplug(int) override { return absl::UnimplementedError("one cable for all"); }
};

INSTANTIATE_TEST_SUITE_P(Loopback, GlooProcessTest,
                         ::testing::Values(PlaceCase{
                             "loopback", [](int) -> absl::StatusOr<std::unique_ptr<Place>> {
                               return std::make_unique<Loopback>();
                             }}));

}  // namespace
}  // namespace facet
