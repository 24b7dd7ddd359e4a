#include "shard/collective/collective_base.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace facet {
namespace {

absl::Duration Clamp(absl::Duration timeout) {
  return std::clamp(timeout, absl::Milliseconds(1), absl::Hours(24));
}

// One row of `small` for each rank has to fill `large`.
absl::Status CheckRows(const char* op, const char* large_name, size_t large, const char* small_name,
                       size_t small, int world_size) {
  const size_t world = static_cast<size_t>(world_size);
  if (large / world == small && large % world == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(op, ": `", large_name, "` has ", large,
                                                 " elements; needed: ", world_size, " ranks x ",
                                                 small, " of `", small_name, "`"));
}

absl::Status CheckApart(const char* op, const void* a, size_t a_bytes, const void* b,
                        size_t b_bytes) {
  const uintptr_t a0 = reinterpret_cast<uintptr_t>(a);
  const uintptr_t b0 = reinterpret_cast<uintptr_t>(b);
  if (a_bytes == 0 || b_bytes == 0 || a0 + a_bytes <= b0 || b0 + b_bytes <= a0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(op, ": input and output overlap"));
}

absl::Status FirstOf(absl::Status a, absl::Status b) { return a.ok() ? b : a; }

}  // namespace

CollectiveBase::CollectiveBase(int rank, int world_size, absl::Duration timeout)
    : rank_(rank), world_size_(world_size), timeout_ns_(absl::ToInt64Nanoseconds(Clamp(timeout))) {
  FACET_CHECK(rank >= 0 && rank < world_size) << "rank " << rank << " of " << world_size;
}

absl::Status CollectiveBase::AllReduceSum(absl::Span<float> data) {
  const Operation op{OpKind::kAllReduceSum, 0, data.size() * sizeof(float)};
  return Run(op, absl::OkStatus(), [&](const Call& call) { return DoAllReduceSum(call, data); });
}

absl::Status CollectiveBase::AllGather(absl::Span<const uint8_t> mine, absl::Span<uint8_t> all) {
  const absl::Status arguments =
      FirstOf(CheckRows("AllGather", "all", all.size(), "mine", mine.size(), world_size_),
              CheckApart("AllGather", mine.data(), mine.size(), all.data(), all.size()));
  return Run({OpKind::kAllGather, 0, mine.size()}, arguments,
             [&](const Call& call) { return DoAllGather(call, mine, all); });
}

absl::Status CollectiveBase::ReduceScatterSum(absl::Span<const float> in, absl::Span<float> out) {
  const absl::Status arguments =
      FirstOf(CheckRows("ReduceScatterSum", "in", in.size(), "out", out.size(), world_size_),
              CheckApart("ReduceScatterSum", in.data(), in.size() * sizeof(float), out.data(),
                         out.size() * sizeof(float)));
  return Run({OpKind::kReduceScatterSum, 0, in.size() * sizeof(float)}, arguments,
             [&](const Call& call) { return DoReduceScatterSum(call, in, out); });
}

absl::Status CollectiveBase::AllToAll(absl::Span<const uint8_t> in, absl::Span<uint8_t> out) {
  absl::Status arguments = CheckApart("AllToAll", in.data(), in.size(), out.data(), out.size());
  if (in.size() != out.size() || in.size() % static_cast<size_t>(world_size_) != 0) {
    arguments = absl::InvalidArgumentError(
        absl::StrCat("AllToAll: `in` has ", in.size(), " bytes and `out` ", out.size(),
                     "; needed: the same, a multiple of ", world_size_, " ranks"));
  }
  return Run({OpKind::kAllToAll, 0, in.size()}, arguments,
             [&](const Call& call) { return DoAllToAll(call, in, out); });
}

absl::Status CollectiveBase::Broadcast(absl::Span<uint8_t> data, int root) {
  absl::Status arguments;
  if (root < 0 || root >= world_size_) {
    arguments = absl::InvalidArgumentError(
        absl::StrCat("Broadcast: root ", root, " is not in [0, ", world_size_, ")"));
  }
  return Run({OpKind::kBroadcast, root, data.size()}, arguments,
             [&](const Call& call) { return DoBroadcast(call, data); });
}

absl::Status CollectiveBase::Barrier() {
  return Run({OpKind::kBarrier, 0, 0}, absl::OkStatus(),
             [&](const Call& call) { return DoBarrier(call); });
}

absl::Status CollectiveBase::Run(const Operation& op, const absl::Status& arguments,
                                 absl::FunctionRef<absl::Status(const Call&)> body) {
  if (broken()) return first_error();
  absl::Status status = arguments;
  if (status.ok()) {
    const std::chrono::nanoseconds limit(timeout_ns_.load(std::memory_order_relaxed));
    status =
        body(Call{op, std::chrono::steady_clock::now() + limit, absl::Nanoseconds(limit.count())});
  }
  return status.ok() ? status : Break(status, /*aborted=*/false);
}

void CollectiveBase::Abort(absl::Status reason) {
  (void)Break(reason.ok() ? absl::CancelledError("aborted") : reason, /*aborted=*/true);
}

absl::Status CollectiveBase::Break(const absl::Status& reason, bool aborted) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!first_error_.ok()) return first_error_;
    first_error_ = reason;
    broken_.store(true, std::memory_order_release);
  }
  OnBroken(reason, aborted);
  return reason;
}

absl::Status CollectiveBase::first_error() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return first_error_;
}

void CollectiveBase::set_timeout(absl::Duration timeout) {
  timeout_ns_.store(absl::ToInt64Nanoseconds(Clamp(timeout)), std::memory_order_relaxed);
}

}  // namespace facet
