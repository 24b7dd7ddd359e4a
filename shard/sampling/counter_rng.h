#ifndef FACET_SHARD_SAMPLING_COUNTER_RNG_H_
#define FACET_SHARD_SAMPLING_COUNTER_RNG_H_

// Random numbers as a function of (seed, position): no state, the same in every process and on
// every machine, so a sequence draws the same ones whatever runs beside it.
//
// Philox4x32-10: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3". Passes
// BigCrush.

#include <array>
#include <cstdint>

namespace facet {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

inline PhiloxCounter Philox4x32(PhiloxCounter counter, PhiloxKey key) {
  constexpr int kRounds = 10;
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

// Uniform in [0, 1), in steps of 2^-53.
inline double UniformAt(uint64_t seed, uint64_t position) {
  const PhiloxCounter bits =
      Philox4x32({static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32), 0, 0},
                 {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  return static_cast<double>((uint64_t{bits[0]} << 32 | bits[1]) >> 11) * 0x1p-53;
}

// The seed of completion `index` of a request: of the first one, the request's own. So what a
// completion draws does not depend on how many there are.
inline uint64_t SeedOfCompletion(uint64_t seed, int index) {
  if (index == 0) return seed;
  // Apart from the counters of UniformAt, whose last word is 0.
  const PhiloxCounter bits =
      Philox4x32({static_cast<uint32_t>(index), 0, 0, 1},
                 {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  return uint64_t{bits[0]} << 32 | bits[1];
}

}  // namespace facet

#endif  // FACET_SHARD_SAMPLING_COUNTER_RNG_H_
