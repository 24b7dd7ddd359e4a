#ifndef FACET_SHARD_COLLECTIVE_SHM_LAYOUT_H_
#define FACET_SHARD_COLLECTIVE_SHM_LAYOUT_H_

// What lies in the memory that the ranks of one host share:
//
//   SegmentHeader | RankBlock x world_size | slots: [world_size][2 parities][slot_bytes]
//
// Time is cut into steps, counted from 1. In step s each rank writes its slot of parity s % 2 and
// the operation that it is in, arrives, and waits until all have arrived; then everyone reads
// everyone's slots of that parity. Two parities are enough: a rank can only begin to write step
// s + 2 after all have arrived in step s + 1, that is, after all have read step s.
//
// Everything that is not atomic is written before its writer arrives and read after all have
// arrived (or before `broken` is set and after it was seen), so there is no data race.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "shard/collective/operation.h"

namespace facet {

inline constexpr uint64_t kSegmentMagic = 0x3163766574656361;  // changes with the layout
inline constexpr size_t kCacheLine = 64;

// Why the group is broken; the first rank to claim it writes it.
struct BrokenRecord {
  enum State : uint32_t { kWhole = 0, kBeingWritten = 1, kBroken = 2 };
  std::atomic<uint32_t> state;
  int32_t rank;
  int32_t code;     // absl::StatusCode
  uint8_t aborted;  // 1: through Abort()
  char message[507];
};

struct SegmentHeader {
  std::atomic<uint64_t> magic;  // written last by the creator
  uint64_t slot_bytes;
  int32_t world_size;

  // How many times any rank has arrived: world_size * s once step s is complete.
  alignas(kCacheLine) std::atomic<uint64_t> arrivals;

  // The line that waiting ranks look at.
  alignas(kCacheLine) std::atomic<uint32_t> completed;  // the last complete step, low 32 bits
  std::atomic<uint32_t> events;    // futex word: grows with whatever a waiting rank should look at
  std::atomic<uint32_t> sleepers;  // ranks in futex wait; too high after one was killed there

  alignas(kCacheLine) BrokenRecord broken;
};

struct alignas(kCacheLine) RankBlock {
  std::atomic<uint32_t> attached;
  std::atomic<uint32_t> left;  // destroyed its Collective
  std::atomic<uint64_t> step;  // the last step in which it arrived
  std::atomic<int32_t> pid;    // for messages; as its own PID namespace counts
  Operation operation[2];      // by parity
};

static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(std::atomic<uint32_t>::is_always_lock_free);

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_SHM_LAYOUT_H_
