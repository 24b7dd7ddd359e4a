#ifndef FACET_SHARD_COLLECTIVE_SHM_RANK_H_
#define FACET_SHARD_COLLECTIVE_SHM_RANK_H_

// One rank's view of a ShmSegment: the operations of Collective on top of steps (shm_layout.h).

#include <chrono>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "shard/collective/collective_base.h"
#include "shard/collective/shm_segment.h"

namespace facet {

class ShmRank final : public CollectiveBase {
 public:
  struct Options {
    int rank = 0;
    int world_size = 1;
    absl::Duration timeout = absl::Seconds(30);
    std::chrono::nanoseconds spin{0};  // look this long before sleeping
  };

  // `segment` may be shared by ranks that are threads.
  ShmRank(const Options& options, std::shared_ptr<ShmSegment> segment);
  ~ShmRank() override;

 private:
  absl::Status DoAllReduceSum(const Call& call, absl::Span<float> data) override;
  absl::Status DoAllGather(const Call& call, absl::Span<const uint8_t> mine,
                           absl::Span<uint8_t> all) override;
  absl::Status DoReduceScatterSum(const Call& call, absl::Span<const float> in,
                                  absl::Span<float> out) override;
  absl::Status DoAllToAll(const Call& call, absl::Span<const uint8_t> in,
                          absl::Span<uint8_t> out) override;
  absl::Status DoBroadcast(const Call& call, absl::Span<uint8_t> data) override;
  absl::Status DoBarrier(const Call& call) override;
  void OnBroken(const absl::Status& reason, bool aborted) override;

  // Everyone sums everything: one step.
  absl::Status AllReduceInOneStep(const Call& call, absl::Span<float> data);
  // Each rank sums its part, then all collect the parts: two steps.
  absl::Status AllReduceByParts(const Call& call, absl::Span<float> data);

  // The slot to fill for the next step.
  uint8_t* NextSlot() const;
  // Publishes NextSlot() and returns when the slots of all ranks can be read.
  absl::Status Step(const Call& call);
  // The slot of `rank` of the step just done.
  const uint8_t* Slot(int rank) const;
  // out = the sum over the ranks of what lies `offset` floats into their slots; in place of our own
  // slot stands `mine`, which says how much. `out` may be `mine`.
  void SumSlots(size_t offset, absl::Span<const float> mine, float* out) const;

  void Arrive(const Operation& op);
  absl::Status Await(const Call& call);
  bool SpinUntilComplete(const Call& call) const;
  bool IsComplete() const;
  // Whether one of the ranks waited for left or, if `check_processes`, died.
  absl::Status CheckPeers(bool check_processes) const;
  absl::Status CheckAgreement(const Operation& op) const;
  std::vector<int> MissingRanks() const;
  absl::Status ReadBrokenRecord() const;
  void Notify();

  const std::shared_ptr<ShmSegment> segment_;
  const std::chrono::nanoseconds spin_;
  const size_t slot_bytes_;
  uint64_t step_ = 0;
};

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_SHM_RANK_H_
