#include "shard/collective/shm_rank.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/collective/futex.h"
#include "shard/collective/rank_order_sum.h"

namespace facet {
namespace {

using Clock = std::chrono::steady_clock;

// Up to here one step and n times the additions cost less than a second step.
constexpr size_t kOneStepBytes = size_t{32} << 10;
// How long to sleep before looking whether the peers' processes still live.
constexpr std::chrono::milliseconds kLivenessInterval(10);

// Tells the processor that this is a spin loop.
inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// memcpy that allows null pointers for nothing.
void CopyBytes(void* to, const void* from, size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

}  // namespace

ShmRank::ShmRank(const Options& options, std::shared_ptr<ShmSegment> segment)
    : CollectiveBase(options.rank, options.world_size, options.timeout),
      segment_(std::move(segment)),
      spin_(options.spin),
      slot_bytes_(segment_->header().slot_bytes) {}

ShmRank::~ShmRank() {
  segment_->block(rank()).left.store(1, std::memory_order_release);
  Notify();
}

// Operations -------------------------------------------------------------------------------------

absl::Status ShmRank::DoAllReduceSum(const Call& call, absl::Span<float> data) {
  if (data.size() * sizeof(float) <= std::min(kOneStepBytes, slot_bytes_)) {
    return AllReduceInOneStep(call, data);
  }
  const size_t chunk = slot_bytes_ / sizeof(float);
  for (size_t begin = 0; begin < data.size(); begin += chunk) {
    FACET_RETURN_IF_ERROR(AllReduceByParts(call, data.subspan(begin, chunk)));
  }
  return absl::OkStatus();
}

absl::Status ShmRank::AllReduceInOneStep(const Call& call, absl::Span<float> data) {
  CopyBytes(NextSlot(), data.data(), data.size() * sizeof(float));
  FACET_RETURN_IF_ERROR(Step(call));
  SumSlots(0, data, data.data());
  return absl::OkStatus();
}

absl::Status ShmRank::AllReduceByParts(const Call& call, absl::Span<float> data) {
  // Parts are whole cache lines, so that no two ranks write to one line.
  constexpr size_t kLine = kCacheLine / sizeof(float);
  const size_t lines = (data.size() + kLine - 1) / kLine;
  const size_t world = static_cast<size_t>(world_size());
  const auto part_begin = [&](int part) {
    return std::min(data.size(), lines * static_cast<size_t>(part) / world * kLine);
  };
  // What the others sum: all but our own part.
  const size_t begin = part_begin(rank()), end = part_begin(rank() + 1);
  float* slot = reinterpret_cast<float*>(NextSlot());
  CopyBytes(slot, data.data(), begin * sizeof(float));
  CopyBytes(slot + end, data.data() + end, (data.size() - end) * sizeof(float));
  FACET_RETURN_IF_ERROR(Step(call));
  const absl::Span<float> mine = data.subspan(begin, end - begin);
  SumSlots(begin, mine, mine.data());
  CopyBytes(NextSlot(), mine.data(), mine.size() * sizeof(float));
  FACET_RETURN_IF_ERROR(Step(call));
  for (int r = 0; r < world_size(); ++r) {
    if (r == rank()) continue;
    CopyBytes(data.data() + part_begin(r), Slot(r),
              (part_begin(r + 1) - part_begin(r)) * sizeof(float));
  }
  return absl::OkStatus();
}

absl::Status ShmRank::DoAllGather(const Call& call, absl::Span<const uint8_t> mine,
                                  absl::Span<uint8_t> all) {
  size_t begin = 0;
  do {
    const size_t n = std::min(slot_bytes_, mine.size() - begin);
    CopyBytes(NextSlot(), mine.data() + begin, n);
    FACET_RETURN_IF_ERROR(Step(call));
    for (int r = 0; r < world_size(); ++r) {
      CopyBytes(all.data() + static_cast<size_t>(r) * mine.size() + begin, Slot(r), n);
    }
    begin += n;
  } while (begin < mine.size());
  return absl::OkStatus();
}

absl::Status ShmRank::DoReduceScatterSum(const Call& call, absl::Span<const float> in,
                                         absl::Span<float> out) {
  // A slot holds the same columns of all rows.
  const size_t world = static_cast<size_t>(world_size());
  const size_t chunk = slot_bytes_ / sizeof(float) / world;
  size_t begin = 0;
  do {
    const size_t n = std::min(chunk, out.size() - begin);
    float* slot = reinterpret_cast<float*>(NextSlot());
    for (size_t row = 0; row < world; ++row) {
      CopyBytes(slot + row * n, in.data() + row * out.size() + begin, n * sizeof(float));
    }
    FACET_RETURN_IF_ERROR(Step(call));
    const size_t row = static_cast<size_t>(rank());
    SumSlots(row * n, in.subspan(row * out.size() + begin, n), out.data() + begin);
    begin += n;
  } while (begin < out.size());
  return absl::OkStatus();
}

absl::Status ShmRank::DoAllToAll(const Call& call, absl::Span<const uint8_t> in,
                                 absl::Span<uint8_t> out) {
  const size_t world = static_cast<size_t>(world_size());
  const size_t row_bytes = in.size() / world;
  const size_t chunk = slot_bytes_ / world;
  size_t begin = 0;
  do {
    const size_t n = std::min(chunk, row_bytes - begin);
    uint8_t* slot = NextSlot();
    for (size_t to = 0; to < world; ++to) {
      CopyBytes(slot + to * n, in.data() + to * row_bytes + begin, n);
    }
    FACET_RETURN_IF_ERROR(Step(call));
    for (size_t from = 0; from < world; ++from) {
      CopyBytes(out.data() + from * row_bytes + begin,
                Slot(static_cast<int>(from)) + static_cast<size_t>(rank()) * n, n);
    }
    begin += n;
  } while (begin < row_bytes);
  return absl::OkStatus();
}

absl::Status ShmRank::DoBroadcast(const Call& call, absl::Span<uint8_t> data) {
  const int root = call.op.root;
  size_t begin = 0;
  do {
    const size_t n = std::min(slot_bytes_, data.size() - begin);
    if (rank() == root) CopyBytes(NextSlot(), data.data() + begin, n);
    FACET_RETURN_IF_ERROR(Step(call));
    if (rank() != root) CopyBytes(data.data() + begin, Slot(root), n);
    begin += n;
  } while (begin < data.size());
  return absl::OkStatus();
}

absl::Status ShmRank::DoBarrier(const Call& call) { return Step(call); }

// Steps ------------------------------------------------------------------------------------------

uint8_t* ShmRank::NextSlot() const { return segment_->slot(rank(), (step_ + 1) % 2); }

const uint8_t* ShmRank::Slot(int rank) const { return segment_->slot(rank, step_ % 2); }

void ShmRank::SumSlots(size_t offset, absl::Span<const float> mine, float* out) const {
  absl::InlinedVector<const float*, 16> inputs;
  for (int r = 0; r < world_size(); ++r) {
    inputs.push_back(r == rank() ? mine.data() : reinterpret_cast<const float*>(Slot(r)) + offset);
  }
  RankOrderSum(inputs, mine.size(), out);
}

absl::Status ShmRank::Step(const Call& call) {
  // Without this a rank that comes late to a broken group would complete the step for itself.
  FACET_RETURN_IF_ERROR(ReadBrokenRecord());
  ++step_;
  Arrive(call.op);
  FACET_RETURN_IF_ERROR(Await(call));
  return CheckAgreement(call.op);
}

void ShmRank::Arrive(const Operation& op) {
  SegmentHeader& header = segment_->header();
  RankBlock& mine = segment_->block(rank());
  mine.operation[step_ % 2] = op;
  mine.step.store(step_, std::memory_order_release);
  const uint64_t arrivals = header.arrivals.fetch_add(1, std::memory_order_acq_rel) + 1;
  if (arrivals == step_ * static_cast<uint64_t>(world_size())) {
    header.completed.store(static_cast<uint32_t>(step_), std::memory_order_release);
    Notify();
  }
}

void ShmRank::Notify() {
  SegmentHeader& header = segment_->header();
  // Either a sleeper sees the new count before it sleeps, or we see the sleeper: both sides write
  // first and then read, in one total order.
  header.events.fetch_add(1, std::memory_order_seq_cst);
  if (header.sleepers.load(std::memory_order_seq_cst) > 0) FutexWakeAll(header.events);
}

bool ShmRank::IsComplete() const {
  // Equality is enough: the step after this one cannot complete without us.
  return segment_->header().completed.load(std::memory_order_acquire) ==
         static_cast<uint32_t>(step_);
}

bool ShmRank::SpinUntilComplete(const Call& call) const {
  constexpr int kLooksPerClock = 32;
  if (spin_.count() == 0) return IsComplete();
  const auto until = std::min(Clock::now() + spin_, call.deadline);
  do {
    for (int i = 0; i < kLooksPerClock; ++i) {
      if (IsComplete()) return true;
      Pause();
    }
  } while (Clock::now() < until);
  return false;
}

absl::Status ShmRank::Await(const Call& call) {
  if (SpinUntilComplete(call)) return absl::OkStatus();
  SegmentHeader& header = segment_->header();
  auto next_liveness = Clock::now() + kLivenessInterval;
  for (;;) {
    const uint32_t events = header.events.load(std::memory_order_seq_cst);
    if (IsComplete()) return absl::OkStatus();
    if (broken()) return first_error();
    FACET_RETURN_IF_ERROR(ReadBrokenRecord());
    const auto now = Clock::now();
    const bool check_processes = now >= next_liveness;
    if (check_processes) next_liveness = now + kLivenessInterval;
    if (const absl::Status gone = CheckPeers(check_processes); !gone.ok()) {
      // A rank may go as soon as it has seen the step complete, but then it is.
      return IsComplete() ? absl::OkStatus() : gone;
    }
    if (now >= call.deadline) return TimeoutError(call, MissingRanks());
    header.sleepers.fetch_add(1, std::memory_order_seq_cst);
    FutexWait(header.events, events, std::min(next_liveness, call.deadline) - now);
    header.sleepers.fetch_sub(1, std::memory_order_seq_cst);
  }
}

absl::Status ShmRank::CheckPeers(bool check_processes) const {
  for (int r = 0; r < world_size(); ++r) {
    if (r == rank()) continue;
    const RankBlock& block = segment_->block(r);
    if (block.left.load(std::memory_order_acquire) != 0) return PeerLeftError(r);
    if (check_processes && !segment_->IsAlive(r)) {
      return PeerDiedError(
          r, absl::StrCat("its process ", block.pid.load(std::memory_order_relaxed), " ended"));
    }
  }
  return absl::OkStatus();
}

absl::Status ShmRank::CheckAgreement(const Operation& op) const {
  for (int r = 0; r < world_size(); ++r) {
    const Operation& theirs = segment_->block(r).operation[step_ % 2];
    if (!(theirs == op)) return MismatchError(rank(), op, r, theirs);
  }
  return absl::OkStatus();
}

std::vector<int> ShmRank::MissingRanks() const {
  std::vector<int> missing;
  for (int r = 0; r < world_size(); ++r) {
    if (segment_->block(r).step.load(std::memory_order_acquire) < step_) missing.push_back(r);
  }
  return missing;
}

// Breaking ---------------------------------------------------------------------------------------

absl::Status ShmRank::ReadBrokenRecord() const {
  const BrokenRecord& record = segment_->header().broken;
  if (record.state.load(std::memory_order_acquire) != BrokenRecord::kBroken) {
    return absl::OkStatus();
  }
  return PeerBrokeError(record.rank, record.aborted != 0,
                        static_cast<absl::StatusCode>(record.code), record.message);
}

void ShmRank::OnBroken(const absl::Status& reason, bool aborted) {
  BrokenRecord& record = segment_->header().broken;
  uint32_t expected = BrokenRecord::kWhole;
  if (record.state.compare_exchange_strong(expected, BrokenRecord::kBeingWritten,
                                           std::memory_order_acq_rel)) {
    record.rank = rank();
    record.code = static_cast<int32_t>(reason.code());
    record.aborted = aborted ? 1 : 0;
    const absl::string_view message =
        absl::string_view(reason.message()).substr(0, sizeof(record.message) - 1);
    CopyBytes(record.message, message.data(), message.size());
    record.message[message.size()] = '\0';
    record.state.store(BrokenRecord::kBroken, std::memory_order_release);
  }
  Notify();
}

}  // namespace facet
