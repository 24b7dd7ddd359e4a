#ifndef FACET_SHARD_COLLECTIVE_SHM_SEGMENT_H_
#define FACET_SHARD_COLLECTIVE_SHM_SEGMENT_H_

// The mapping of a group's shared memory, and who still holds it.
//
// Liveness. Each rank holds a file lock (an "open file description" lock, fcntl(2)) on byte number
//   `rank` of the segment. The kernel drops it when the process ends, however it ends, and keeps it
//   while the process is stopped. So the test needs no process ids and no heartbeat, is right after
//   a process id was used again, and works between PID namespaces; all it needs is that the ranks
//   see the same /dev/shm. A rank that fork()s without exec lends the lock to its child: its death
//   is then noticed only by the timeout.
//
// Names. The segment has a name only until all ranks have attached; then a kill -9 of all of them
//   leaves nothing behind. A segment whose creator no longer holds its lock is stale: whoever
//   attaches passes it over, and the next creator of that name replaces it.
//
// Thread-safety: const members may be called from any thread.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "shard/collective/shm_layout.h"

namespace facet {

class ShmSegment {
 public:
  struct Shape {
    int world_size = 0;
    size_t slot_bytes = 0;  // a multiple of 64
  };
  using TimePoint = std::chrono::steady_clock::time_point;

  // For rank 0. Returns at once; the others can attach from now on.
  //   AlreadyExists       a living creator holds that name
  //   ResourceExhausted   /dev/shm has no room for it; the message says how much is needed
  static absl::StatusOr<std::unique_ptr<ShmSegment>> Create(const std::string& name, Shape shape);

  // For the other ranks. Waits for the creator until `deadline`.
  //   DeadlineExceeded    rank 0 did not come
  //   FailedPrecondition  the creator says another shape
  //   AlreadyExists       this rank has attached before
  static absl::StatusOr<std::unique_ptr<ShmSegment>> Attach(const std::string& name, int rank,
                                                            Shape shape, TimePoint deadline);

  // Nameless memory for ranks that are threads of one process and share the returned object.
  static absl::StatusOr<std::unique_ptr<ShmSegment>> CreateAnonymous(Shape shape);

  ~ShmSegment();
  ShmSegment(const ShmSegment&) = delete;
  ShmSegment& operator=(const ShmSegment&) = delete;

  SegmentHeader& header() const;
  RankBlock& block(int rank) const;
  uint8_t* slot(int rank, int parity) const;

  // False if `rank` has attached and its process is gone. Up to one system call.
  bool IsAlive(int rank) const;

  // Takes the name away, if it still stands for this memory.
  void Unlink() const;

 private:
  ShmSegment() = default;
  absl::Status Map(size_t bytes);
  void InitializeMemory(Shape shape);

  std::string name_;  // empty: anonymous
  int fd_ = -1;
  uint8_t* base_ = nullptr;
  size_t mapped_bytes_ = 0;
};

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_SHM_SEGMENT_H_
