#include "shard/collective/shm_segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace facet {
namespace {

constexpr std::chrono::milliseconds kRetryInterval(2);

size_t SlotsOffset(int world_size) {
  return sizeof(SegmentHeader) + sizeof(RankBlock) * static_cast<size_t>(world_size);
}

size_t SegmentBytes(const ShmSegment::Shape& shape) {
  return SlotsOffset(shape.world_size) +
         2 * static_cast<size_t>(shape.world_size) * shape.slot_bytes;
}

absl::Status SystemError(absl::StatusCode code, const std::string& what, int error) {
  return absl::Status(code, absl::StrCat(what, ": ", std::strerror(error)));
}

struct flock LockOfRank(int rank) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = rank;
  lock.l_len = 1;
  return lock;
}

// False if someone else holds it.
absl::StatusOr<bool> TakeLock(int fd, int rank) {
  struct flock lock = LockOfRank(rank);
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return true;
  if (errno == EAGAIN || errno == EACCES) return false;
  return SystemError(absl::StatusCode::kInternal, "locking the shared memory segment", errno);
}

// Whether another open file description holds it. True on error: no proof of death.
bool IsLockHeld(int fd, int rank) {
  struct flock lock = LockOfRank(rank);
  return fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

// Takes the name away from a segment that a dead creator left behind.
absl::Status RemoveStale(const std::string& name) {
  const int fd = shm_open(name.c_str(), O_RDWR | O_CLOEXEC, 0);
  if (fd < 0) return absl::OkStatus();  // usual: there is none
  const bool in_use = IsLockHeld(fd, 0);
  close(fd);
  if (in_use) {
    return absl::AlreadyExistsError(
        absl::StrCat("shared memory segment ", name, " belongs to a group that is starting"));
  }
  shm_unlink(name.c_str());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ShmSegment>> ShmSegment::Create(const std::string& name,
                                                               Shape shape) {
  FACET_RETURN_IF_ERROR(RemoveStale(name));
  std::unique_ptr<ShmSegment> segment(new ShmSegment);
  segment->fd_ = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (segment->fd_ < 0) {
    const auto code =
        errno == EEXIST ? absl::StatusCode::kAlreadyExists : absl::StatusCode::kInternal;
    return SystemError(code, absl::StrCat("creating shared memory segment ", name), errno);
  }
  segment->name_ = name;
  const auto fail = [&](const absl::Status& status) {
    segment->Unlink();
    return status;
  };
  const auto locked = TakeLock(segment->fd_, 0);
  if (!locked.ok()) return fail(locked.status());
  if (!*locked) return fail(absl::InternalError("someone else locked a new segment"));
  // Asks for the memory now: a later lack of it would be a SIGBUS.
  const size_t bytes = SegmentBytes(shape);
  if (const int error = posix_fallocate(segment->fd_, 0, static_cast<off_t>(bytes)); error != 0) {
    return fail(SystemError(
        error == ENOSPC ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kInternal,
        absl::StrCat("/dev/shm gives no ", bytes, " bytes for ", shape.world_size, " ranks"),
        error));
  }
  if (const absl::Status status = segment->Map(bytes); !status.ok()) return fail(status);
  segment->InitializeMemory(shape);
  segment->block(0).pid.store(getpid(), std::memory_order_relaxed);
  segment->block(0).attached.store(1, std::memory_order_release);
  segment->header().magic.store(kSegmentMagic, std::memory_order_release);
  return segment;
}

absl::StatusOr<std::unique_ptr<ShmSegment>> ShmSegment::Attach(const std::string& name, int rank,
                                                               Shape shape, TimePoint deadline) {
  const size_t bytes = SegmentBytes(shape);
  for (;; std::this_thread::sleep_for(kRetryInterval)) {
    if (std::chrono::steady_clock::now() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("rank 0 did not create shared memory segment ", name));
    }
    std::unique_ptr<ShmSegment> segment(new ShmSegment);
    segment->fd_ = shm_open(name.c_str(), O_RDWR | O_CLOEXEC, 0);
    if (segment->fd_ < 0) {
      if (errno == ENOENT) continue;
      return SystemError(absl::StatusCode::kInternal, absl::StrCat("opening ", name), errno);
    }
    // No lock: stale, or its creator is a moment from taking it.
    if (!IsLockHeld(segment->fd_, 0)) continue;
    struct stat info = {};
    if (fstat(segment->fd_, &info) != 0 || info.st_size < off_t{sizeof(SegmentHeader)}) continue;
    FACET_RETURN_IF_ERROR(segment->Map(static_cast<size_t>(info.st_size)));
    const SegmentHeader& header = segment->header();
    if (header.magic.load(std::memory_order_acquire) != kSegmentMagic) continue;
    if (header.world_size != shape.world_size || header.slot_bytes != shape.slot_bytes ||
        segment->mapped_bytes_ != bytes) {
      return absl::FailedPreconditionError(
          absl::StrCat("rank 0 made segment ", name, " for ", header.world_size,
                       " ranks with slots of ", header.slot_bytes, " bytes; rank ", rank, " has ",
                       shape.world_size, " ranks and ", shape.slot_bytes, " bytes"));
    }
    FACET_ASSIGN_OR_RETURN(const bool locked, TakeLock(segment->fd_, rank));
    RankBlock& mine = segment->block(rank);
    if (!locked || mine.attached.load(std::memory_order_acquire) != 0) {
      return absl::AlreadyExistsError(absl::StrCat(
          "rank ", rank, " has attached to ", name, " before (pid ",
          mine.pid.load(std::memory_order_relaxed), "); the group has to be made anew"));
    }
    segment->name_ = name;
    mine.pid.store(getpid(), std::memory_order_relaxed);
    mine.attached.store(1, std::memory_order_release);
    return segment;
  }
}

absl::StatusOr<std::unique_ptr<ShmSegment>> ShmSegment::CreateAnonymous(Shape shape) {
  std::unique_ptr<ShmSegment> segment(new ShmSegment);
  FACET_RETURN_IF_ERROR(segment->Map(SegmentBytes(shape)));
  segment->InitializeMemory(shape);
  return segment;
}

absl::Status ShmSegment::Map(size_t bytes) {
  const int flags = MAP_SHARED | (fd_ < 0 ? MAP_ANONYMOUS : 0);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd_, 0);
  if (memory == MAP_FAILED) {
    return SystemError(absl::StatusCode::kResourceExhausted,
                       absl::StrCat("mapping ", bytes, " bytes of shared memory"), errno);
  }
  base_ = static_cast<uint8_t*>(memory);
  mapped_bytes_ = bytes;
  return absl::OkStatus();
}

void ShmSegment::InitializeMemory(Shape shape) {
  auto* header = new (base_) SegmentHeader();
  header->world_size = shape.world_size;
  header->slot_bytes = shape.slot_bytes;
  for (int r = 0; r < shape.world_size; ++r) {
    new (base_ + sizeof(SegmentHeader) + sizeof(RankBlock) * static_cast<size_t>(r)) RankBlock();
  }
}

ShmSegment::~ShmSegment() {
  if (base_ != nullptr) munmap(base_, mapped_bytes_);
  if (fd_ >= 0) close(fd_);  // drops the lock
}

SegmentHeader& ShmSegment::header() const {
  return *std::launder(reinterpret_cast<SegmentHeader*>(base_));
}

RankBlock& ShmSegment::block(int rank) const {
  return *std::launder(reinterpret_cast<RankBlock*>(base_ + sizeof(SegmentHeader) +
                                                    sizeof(RankBlock) * static_cast<size_t>(rank)));
}

uint8_t* ShmSegment::slot(int rank, int parity) const {
  const SegmentHeader& h = header();
  return base_ + SlotsOffset(h.world_size) +
         (2 * static_cast<size_t>(rank) + static_cast<size_t>(parity)) * h.slot_bytes;
}

bool ShmSegment::IsAlive(int rank) const {
  if (fd_ < 0) return true;
  if (block(rank).attached.load(std::memory_order_acquire) == 0) return true;
  return IsLockHeld(fd_, rank);
}

void ShmSegment::Unlink() const {
  if (name_.empty()) return;
  const int fd = shm_open(name_.c_str(), O_RDWR | O_CLOEXEC, 0);
  if (fd < 0) return;
  struct stat named = {}, mine = {};
  const bool same = fstat(fd, &named) == 0 && fstat(fd_, &mine) == 0 &&
                    named.st_dev == mine.st_dev && named.st_ino == mine.st_ino;
  close(fd);
  if (same) shm_unlink(name_.c_str());
}

}  // namespace facet
