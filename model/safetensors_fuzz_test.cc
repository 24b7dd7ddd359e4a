// Random damage to valid files: the reader must refuse, or return tensors that lie within the file.
// The seed is fixed, so a failure repeats.

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "model/checkpoint.h"
#include "model/safetensors.h"
#include "model/testing/safetensors_writer.h"

namespace facet {
namespace {

using ::facet::testing::Bf16Tensor;
using ::facet::testing::F32Tensor;
using ::facet::testing::IsOk;
using ::facet::testing::MakeTestDir;
using ::facet::testing::SafetensorsBytes;
using ::facet::testing::WriteFile;

class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  // One to four changes of one kind each.
  std::string Mutate(std::string text) {
    const int changes = 1 + Below(4);
    for (int i = 0; i < changes; ++i) Change(text);
    return text;
  }

 private:
  void Change(std::string& text) {
    // What breaks parsers and size checks: brackets, quotes, signs, and numbers at the edges.
    static const std::vector<std::string> kPieces = {
        "0",
        "-1",
        "1",
        "4294967296",
        "9223372036854775807",
        "18446744073709551615",
        "1e99",
        "0.5",
        "{",
        "}",
        "[",
        "]",
        "[[[[[[[[[[",
        "\"",
        "\\",
        ":",
        ",",
        "null",
        "\"F32\"",
        "\"BF16\"",
        "\"I64\"",
        "\"shape\"",
        "\"data_offsets\"",
        std::string(1, '\0'),
        "\xff",
        " ",
        "9",
    };
    const size_t at = Below(text.size() + 1);
    switch (Below(6)) {
      case 0:  // flip a bit
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << Below(8)));
        break;
      case 1:  // insert
        text.insert(at, kPieces[Below(kPieces.size())]);
        break;
      case 2:  // remove
        text.erase(at, 1 + Below(8));
        break;
      case 3:  // repeat a part
        text.insert(at, text.substr(Below(text.size() + 1), Below(80)));
        break;
      case 4:  // cut
        if (Below(8) == 0) text.resize(at);
        break;
      case 5: {  // another number
        const size_t digit = text.find_first_of("0123456789", at);
        if (digit == text.npos) break;
        const size_t end = text.find_first_not_of("0123456789", digit);
        text.replace(digit, end - digit, Below(2) ? kPieces[Below(6)] : absl::StrCat(Below(64)));
        break;
      }
    }
  }
  size_t Below(size_t n) { return random_() % n; }

  std::mt19937 random_;  // its sequence is the same everywhere
};

std::string ValidHeader() {
  const std::string bytes = SafetensorsBytes({F32Tensor("a", {2, 3}, {1, 2, 3, 4, 5, 6}),
                                              Bf16Tensor("layers.0.b", {4}, {1, 2, 3, 4}),
                                              {"ids", "I64", {1}, std::vector<uint8_t>(8)},
                                              {"empty", "U8", {0, 3}, {}}});
  return bytes.substr(8, bytes.size() - 8 - 40);
}
constexpr uint64_t kDataSize = 40;

TEST(SafetensorsFuzzTest, ADamagedHeaderIsRefusedOrHarmless) {
  const std::string valid = ValidHeader();
  ASSERT_THAT(ParseSafetensorsHeader(valid, kDataSize), IsOk());
  Mutator mutator(1);
  int accepted = 0;
  constexpr int kRuns = 20'000;
  for (int run = 0; run < kRuns; ++run) {
    const std::string header = mutator.Mutate(valid);
    const auto entries = ParseSafetensorsHeader(header, kDataSize);
    if (!entries.ok()) {
      EXPECT_FALSE(entries.status().message().empty());
      continue;
    }
    ++accepted;
    uint64_t covered = 0;
    for (const SafetensorsEntry& entry : *entries) {
      ASSERT_EQ(entry.begin, covered) << header;
      ASSERT_LE(entry.begin, entry.end) << header;
      covered = entry.end;
    }
    ASSERT_EQ(covered, kDataSize) << header;
  }
  // Changes to names, for instance, do no harm; but most damage must be noticed.
  EXPECT_GT(accepted, kRuns / 100);
  EXPECT_LT(accepted, kRuns / 2);
}

TEST(SafetensorsFuzzTest, ADamagedFileIsRefusedOrReadWithinItsBounds) {
  const std::string dir = MakeTestDir();
  const std::string header = ValidHeader();
  const std::string valid = SafetensorsBytes(header, std::string(kDataSize, 'x'));
  WriteFile(dir + "/model.safetensors", valid);
  ASSERT_THAT(OpenCheckpoint(dir), IsOk());
  Mutator mutator(2);
  uint64_t sum = 0;
  for (int run = 0; run < 1'000; ++run) {
    WriteFile(dir + "/model.safetensors", mutator.Mutate(valid));
    const auto checkpoint = OpenCheckpoint(dir);
    if (!checkpoint.ok()) continue;
    for (const std::string& name : (*checkpoint)->TensorNames()) {
      const TensorInfo* tensor = (*checkpoint)->Find(name);
      if (tensor == nullptr) continue;
      uint64_t elements = 1;
      for (const int64_t d : tensor->shape) elements *= static_cast<uint64_t>(d);
      ASSERT_EQ(tensor->bytes.size(), elements * SizeOf(tensor->dtype));
      for (const uint8_t byte : tensor->bytes) sum += byte;  // a sanitizer sees a bad address
    }
  }
  EXPECT_GT(sum, 0u);
}

TEST(SafetensorsFuzzTest, ADamagedIndexIsRefusedOrStaysInItsFolder) {
  const std::string dir = MakeTestDir();
  testing::WriteShardedSafetensors(
      dir, {{"model-00001-of-00002.safetensors", {F32Tensor("a", {1}, {1})}},
            {"model-00002-of-00002.safetensors", {F32Tensor("b", {1}, {2})}}});
  const std::string valid =
      R"({"metadata": {"total_size": 8}, "weight_map": {"a": "model-00001-of-00002.safetensors", )"
      R"("b": "model-00002-of-00002.safetensors"}})";
  Mutator mutator(3);
  int accepted = 0;
  for (int run = 0; run < 1'000; ++run) {
    WriteFile(dir + "/model.safetensors.index.json", mutator.Mutate(valid));
    const auto checkpoint = OpenCheckpoint(dir);
    if (!checkpoint.ok()) continue;
    ++accepted;
    for (const std::string& name : (*checkpoint)->TensorNames()) {
      ASSERT_TRUE(name == "a" || name == "b") << name;
    }
  }
  EXPECT_GT(accepted, 0);
}

}  // namespace
}  // namespace facet
