#ifndef FACET_ROUTER_TESTING_TEST_MODEL_H_
#define FACET_ROUTER_TESTING_TEST_MODEL_H_

// A ServedModel for tests of the router: the small trained tokenizer of tests/golden/tokenizer, and
// a configuration to go with it. (The test's target needs its files as `data`.)

#include <cstdint>
#include <memory>
#include <string>

#include "router/served_model.h"

namespace facet::testing {

inline constexpr int kTestContextLength = 64;

// Named "test-model", with a context of 64 tokens. End tokens: <eos> and <turn|>, if it has a
// tokenizer; without one the ids 1 and 106 of a vocabulary of 300.
std::unique_ptr<ServedModel> MakeTestModel(bool with_tokenizer = true);

// The id of a piece that the tokenizer must have.
int32_t IdOf(const ServedModel& model, const std::string& piece);

}  // namespace facet::testing

#endif  // FACET_ROUTER_TESTING_TEST_MODEL_H_
