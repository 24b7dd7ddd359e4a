#ifndef FACET_SHARD_COLLECTIVE_FUTEX_H_
#define FACET_SHARD_COLLECTIVE_FUTEX_H_

// Sleeping on a word of memory that processes share, futex(2).

#include <atomic>
#include <chrono>
#include <cstdint>

namespace facet {

// Sleeps while *word == expected, at most `limit`; may return early.
void FutexWait(const std::atomic<uint32_t>& word, uint32_t expected,
               std::chrono::nanoseconds limit);

// Wakes all that sleep on it.
void FutexWakeAll(const std::atomic<uint32_t>& word);

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_FUTEX_H_
