// Entry for clang's libFuzzer, see README.md.

#include "tests/fuzz/answer_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  facet::FuzzAnswer(data, size);
  return 0;
}
