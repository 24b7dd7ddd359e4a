#include "shard/collective/shm_collective.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/collective/shm_rank.h"
#include "shard/collective/shm_segment.h"
#include "shard/collective/single_collective.h"

namespace facet {
namespace {

int UsableCores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) return CPU_COUNT(&cores);
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

ShmRank::Options RankOptions(const ShmCollectiveOptions& options) {
  ShmRank::Options out;
  out.rank = options.rank;
  out.world_size = options.world_size;
  out.timeout = options.connect_timeout;  // of the first barrier; later options.timeout
  if (int64_t{options.world_size} * options.threads_per_rank <= UsableCores()) {
    out.spin = absl::ToChronoNanoseconds(options.spin_limit);
  }
  return out;
}

}  // namespace

absl::Status ShmCollectiveOptions::Validate() const {
  if (world_size < 1 || world_size > 1024) {
    return absl::InvalidArgumentError(
        absl::StrCat("world_size is ", world_size, ", not in [1, 1024]"));
  }
  if (rank < 0 || rank >= world_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank is ", rank, ", not in [0, ", world_size, ")"));
  }
  if (segment_name.size() < 2 || segment_name.size() > 251 || segment_name[0] != '/' ||
      segment_name.find('/', 1) != std::string::npos ||
      segment_name.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("segment_name is \"", segment_name,
                     "\"; needed: '/' and 1 to 250 characters other than '/'"));
  }
  const size_t least = std::max<size_t>(4096, 64 * static_cast<size_t>(world_size));
  if (slot_bytes % 64 != 0 || slot_bytes < least || slot_bytes > (size_t{1} << 30)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "slot_bytes is ", slot_bytes, "; needed: a multiple of 64 in [", least, ", 1 GiB]"));
  }
  for (const absl::Duration limit : {timeout, connect_timeout}) {
    if (limit < absl::Milliseconds(1) || limit > absl::Hours(24)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "timeout or connect_timeout is ", absl::FormatDuration(limit), ", not in [1 ms, 24 h]"));
    }
  }
  if (spin_limit < absl::ZeroDuration() || spin_limit > absl::Milliseconds(1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("spin_limit is ", absl::FormatDuration(spin_limit), ", not in [0, 1 ms]"));
  }
  if (threads_per_rank < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("threads_per_rank is ", threads_per_rank, ", less than 1"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Collective>> CreateShmCollective(
    const ShmCollectiveOptions& options) {
  FACET_RETURN_IF_ERROR(options.Validate());
  if (options.world_size == 1) return std::make_unique<SingleCollective>();
  const auto deadline =
      std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(options.connect_timeout);
  const ShmSegment::Shape shape{options.world_size, options.slot_bytes};
  auto opened = options.rank == 0
                    ? ShmSegment::Create(options.segment_name, shape)
                    : ShmSegment::Attach(options.segment_name, options.rank, shape, deadline);
  if (absl::IsDeadlineExceeded(opened.status())) {
    return absl::DeadlineExceededError(absl::StrCat(opened.status().message(), " within ",
                                                    absl::FormatDuration(options.connect_timeout)));
  }
  FACET_ASSIGN_OR_RETURN(std::shared_ptr<ShmSegment> segment, std::move(opened));
  auto collective = std::make_unique<ShmRank>(RankOptions(options), segment);
  // Only a rank that attached can pass the barrier, so from there on nobody needs the name.
  const absl::Status all_here = collective->Barrier();
  segment->Unlink();
  FACET_RETURN_IF_ERROR(all_here);
  collective->set_timeout(options.timeout);
  return collective;
}

}  // namespace facet
