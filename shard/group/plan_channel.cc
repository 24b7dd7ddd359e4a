#include "shard/group/plan_channel.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "shard/step_plan_codec.h"

namespace facet {
namespace {

constexpr uint32_t kHeaderBytes = sizeof(uint32_t);
constexpr uint32_t kInFirstFrame = PlanChannel::kFrameBytes - kHeaderBytes;
// Far above any plan: 64 sequences of 256k tokens, or 50k soft tokens of the largest model in
// float32. Guards against a garbled size.
constexpr uint32_t kMaxPlanBytes = uint32_t{1} << 30;

}  // namespace

absl::Status PlanChannel::Send(const StepPlan& plan) {
  if (collective_->world_size() == 1) return absl::OkStatus();
  const std::vector<uint8_t> bytes = EncodeStepPlan(plan);
  if (bytes.size() > kMaxPlanBytes) {
    return absl::InternalError(
        absl::StrCat("a step plan of ", bytes.size(), " bytes; at most ", kMaxPlanBytes));
  }
  const auto size = static_cast<uint32_t>(bytes.size());
  const uint32_t first = std::min(size, kInFirstFrame);
  buffer_.assign(kFrameBytes, 0);
  std::memcpy(buffer_.data(), &size, kHeaderBytes);
  std::memcpy(buffer_.data() + kHeaderBytes, bytes.data(), first);
  FACET_RETURN_IF_ERROR(collective_->Broadcast(absl::MakeSpan(buffer_), 0));
  if (size > first) {
    buffer_.assign(bytes.begin() + first, bytes.end());
    FACET_RETURN_IF_ERROR(collective_->Broadcast(absl::MakeSpan(buffer_), 0));
  }
  return plan.kind == StepPlan::Kind::kRun ? absl::OkStatus() : collective_->Barrier();
}

absl::StatusOr<StepPlan> PlanChannel::Receive() {
  buffer_.assign(kFrameBytes, 0);
  FACET_RETURN_IF_ERROR(collective_->Broadcast(absl::MakeSpan(buffer_), 0));
  uint32_t size = 0;
  std::memcpy(&size, buffer_.data(), kHeaderBytes);
  if (size > kMaxPlanBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a step plan of ", size, " bytes"));
  }
  const uint32_t first = std::min(size, kInFirstFrame);
  std::vector<uint8_t> bytes(buffer_.begin() + kHeaderBytes,
                             buffer_.begin() + kHeaderBytes + first);
  if (size > first) {
    bytes.resize(size);
    FACET_RETURN_IF_ERROR(collective_->Broadcast(absl::MakeSpan(bytes).subspan(first), 0));
  }
  FACET_ASSIGN_OR_RETURN(StepPlan plan, DecodeStepPlan(bytes));
  if (plan.kind != StepPlan::Kind::kRun) FACET_RETURN_IF_ERROR(collective_->Barrier());
  return plan;
}

}  // namespace facet
