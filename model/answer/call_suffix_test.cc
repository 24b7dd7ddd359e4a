#include "model/answer/call_suffix.h"

#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

TEST(CallSuffixTest, SuffixesAreOfPlainCharactersAndNeverMeet) {
  absl::flat_hash_set<std::string> seen;
  for (int i = 0; i < 10'000; ++i) {
    const std::string suffix = RandomCallSuffix();
    ASSERT_EQ(suffix.size(), 24u);
    for (const char c : suffix) ASSERT_TRUE(absl::ascii_isalnum(static_cast<unsigned char>(c)));
    ASSERT_TRUE(seen.insert(suffix).second) << suffix;
  }
}

}  // namespace
}  // namespace facet
