#ifndef FACET_TESTS_LOAD_SOAK_REQUESTS_H_
#define FACET_TESTS_LOAD_SOAK_REQUESTS_H_

// What a soak run asks for: a fixed set of good requests of every kind, asked again and again, and
// bad ones.

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "proto/facet/v1/generation.pb.h"

namespace facet::testing {

struct SoakLimits {
  int vocab_size = 0;
  int max_prompt = 0;  // tokens
  int max_tokens = 0;
  bool stop_strings = true;  // needs a tokenizer
};

// Requests with lengths, prefixes, sampling, stopping and options drawn at random. Each has a seed
// of its own, so its answer is fixed. The same arguments give the same requests.
std::vector<v1::GenerateRequest> MakeSoakRequests(int count, const SoakLimits& limits,
                                                  uint32_t seed);

struct BadRequest {
  std::string field;  // that the refusal must name
  v1::GenerateRequest request;
};

// Requests that must be refused with INVALID_ARGUMENT, each for one field.
std::vector<BadRequest> MakeBadRequests(const SoakLimits& limits);

}  // namespace facet::testing

#endif  // FACET_TESTS_LOAD_SOAK_REQUESTS_H_
