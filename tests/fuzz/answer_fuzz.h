#ifndef FACET_TESTS_FUZZ_ANSWER_FUZZ_H_
#define FACET_TESTS_FUZZ_ANSWER_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace facet {

// Parses one answer made of any bytes and CHECK-fails unless
//   - every token up to the end of the answer is counted, once;
//   - chunks and whole answer, and calls that stream and calls at once, add up to the same;
//   - each call is a JSON object, each call that was withdrawn is no JSON;
//   - content and reasoning begin and end with visible characters.
// The first byte says how the prompt and the answer end; two bytes are one token id.
void FuzzAnswer(const uint8_t* data, size_t size);

// The bytes that FuzzAnswer takes for these tokens.
std::string AnswerFuzzInput(uint8_t first, absl::Span<const int32_t> ids);

}  // namespace facet

#endif  // FACET_TESTS_FUZZ_ANSWER_FUZZ_H_
