#ifndef FACET_SHARD_COLLECTIVE_TESTING_REFERENCE_COLLECTIVE_H_
#define FACET_SHARD_COLLECTIVE_TESTING_REFERENCE_COLLECTIVE_H_

// Inputs that every rank can compute for all ranks, and what the operations make of them.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace facet {

// A float that depends on all arguments; magnitudes differ so much that the order of a sum shows in
// its bits.
float TestFloat(uint64_t seed, int rank, size_t i);
uint8_t TestByte(uint64_t seed, int rank, size_t i);

std::vector<float> TestFloats(uint64_t seed, int rank, size_t count);
std::vector<uint8_t> TestBytes(uint64_t seed, int rank, size_t count);

// [count]: the sum over all ranks of TestFloat(seed, rank, begin + i), in the contract's order.
std::vector<float> ReferenceSum(uint64_t seed, int world_size, size_t begin, size_t count);

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_TESTING_REFERENCE_COLLECTIVE_H_
