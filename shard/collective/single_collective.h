#ifndef FACET_SHARD_COLLECTIVE_SINGLE_COLLECTIVE_H_
#define FACET_SHARD_COLLECTIVE_SINGLE_COLLECTIVE_H_

// The group of one rank: every operation is a copy or nothing, and nothing ever waits.

#include <algorithm>
#include <cstdint>

#include "shard/collective/collective_base.h"

namespace facet {

class SingleCollective final : public CollectiveBase {
 public:
  SingleCollective() : CollectiveBase(0, 1, absl::Hours(24)) {}

 private:
  absl::Status DoAllReduceSum(const Call&, absl::Span<float>) override { return absl::OkStatus(); }
  absl::Status DoAllGather(const Call&, absl::Span<const uint8_t> mine,
                           absl::Span<uint8_t> all) override {
    std::copy(mine.begin(), mine.end(), all.begin());
    return absl::OkStatus();
  }
  absl::Status DoReduceScatterSum(const Call&, absl::Span<const float> in,
                                  absl::Span<float> out) override {
    std::copy(in.begin(), in.end(), out.begin());
    return absl::OkStatus();
  }
  absl::Status DoAllToAll(const Call&, absl::Span<const uint8_t> in,
                          absl::Span<uint8_t> out) override {
    std::copy(in.begin(), in.end(), out.begin());
    return absl::OkStatus();
  }
  absl::Status DoBroadcast(const Call&, absl::Span<uint8_t>) override { return absl::OkStatus(); }
  absl::Status DoBarrier(const Call&) override { return absl::OkStatus(); }
  void OnBroken(const absl::Status&, bool) override {}
};

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_SINGLE_COLLECTIVE_H_
