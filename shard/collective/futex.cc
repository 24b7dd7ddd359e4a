#include "shard/collective/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>

namespace facet {

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));

void FutexWait(const std::atomic<uint32_t>& word, uint32_t expected,
               std::chrono::nanoseconds limit) {
  if (limit.count() <= 0) return;
  constexpr int64_t kNanosPerSecond = 1000000000;
  timespec relative;
  relative.tv_sec = limit.count() / kNanosPerSecond;
  relative.tv_nsec = limit.count() % kNanosPerSecond;
  syscall(SYS_futex, &word, FUTEX_WAIT, expected, &relative, nullptr, 0);
}

void FutexWakeAll(const std::atomic<uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace facet
