#include "model/safetensors.h"

#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/testing/safetensors_writer.h"

namespace facet {
namespace {

using ::facet::testing::F32Tensor;
using ::facet::testing::IsOk;
using ::facet::testing::MakeTestDir;
using ::facet::testing::SafetensorsBytes;
using ::facet::testing::StatusIs;
using ::facet::testing::WriteFile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(ParseSafetensorsHeaderTest, ReturnsTheTensorsInTheOrderOfTheirData) {
  const auto entries = ParseSafetensorsHeader(
      R"({"__metadata__": {"format": "pt"},
          "a": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [8, 20]},
          "b": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]},
          "empty": {"dtype": "F32", "shape": [0, 7], "data_offsets": [20, 20]}}   )",
      20);
  ASSERT_THAT(entries, IsOk());
  ASSERT_EQ(entries->size(), 3u);
  EXPECT_EQ((*entries)[0].name, "b");
  EXPECT_EQ((*entries)[0].dtype, "I64");
  EXPECT_THAT((*entries)[0].shape, ElementsAre());
  EXPECT_EQ((*entries)[1].name, "a");
  EXPECT_THAT((*entries)[1].shape, ElementsAre(2, 3));
  EXPECT_EQ((*entries)[1].begin, 8u);
  EXPECT_EQ((*entries)[1].end, 20u);
  EXPECT_EQ((*entries)[2].name, "empty");
}

TEST(ParseSafetensorsHeaderTest, AcceptsAFileWithoutTensors) {
  EXPECT_THAT(ParseSafetensorsHeader("{}", 0), IsOk());
}

struct SizeCase {
  std::string dtype;
  int bytes_of_8;
};
class ElementSizeTest : public ::testing::TestWithParam<SizeCase> {};

TEST_P(ElementSizeTest, IsThatOfTheFormat) {
  const auto header = [](int size) {
    return absl::StrCat(R"({"t": {"dtype": ")", GetParam().dtype,
                        R"(", "shape": [8], "data_offsets": [0, )", size, "]}}");
  };
  const int size = GetParam().bytes_of_8;
  EXPECT_THAT(ParseSafetensorsHeader(header(size), size), IsOk());
  EXPECT_THAT(ParseSafetensorsHeader(header(size + 1), size + 1),
              StatusIs(kInvalid, HasSubstr(absl::StrCat("need ", size, " bytes"))));
}
INSTANTIATE_TEST_SUITE_P(Types, ElementSizeTest,
                         ::testing::ValuesIn(std::vector<SizeCase>{
                             {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"BOOL", 8},
                             {"U8", 8},      {"I8", 8},      {"F8_E4M3", 8}, {"F8_E5M2", 8},
                             {"F8_E8M0", 8}, {"U16", 16},    {"I16", 16},    {"F16", 16},
                             {"BF16", 16},   {"U32", 32},    {"I32", 32},    {"F32", 32},
                             {"U64", 64},    {"I64", 64},    {"F64", 64},    {"C64", 64},
                         }),
                         [](const auto& info) { return info.param.dtype; });

struct BadHeaderCase {
  std::string name;
  std::string header;
  std::string message;
};
class BadHeaderTest : public ::testing::TestWithParam<BadHeaderCase> {};

TEST_P(BadHeaderTest, IsRefused) {
  EXPECT_THAT(ParseSafetensorsHeader(GetParam().header, /*data_size=*/100),
              StatusIs(kInvalid, HasSubstr(GetParam().message)));
}

// A header with one tensor "t" over the 100 bytes of data.
std::string One(const std::string& fields) { return R"({"t": {)" + fields + "}}"; }

INSTANTIATE_TEST_SUITE_P(
    Headers, BadHeaderTest,
    ::testing::ValuesIn(std::vector<BadHeaderCase>{
        {"empty", "", "does not start with {"},
        {"leading_space", " {}", "does not start with {"},
        {"no_object", "[]", "does not start with {"},
        {"cut_short", R"({"t": {"dtype": "F32")", "not valid JSON"},
        {"too_deep", R"({"t": {"dtype": "F32", "x": [[[[[[[[1]]]]]]]]}})", "nested deeper"},
        {"same_name_twice",
         R"({"t": {"dtype": "U8", "shape": [50], "data_offsets": [0, 50]},
             "t": {"dtype": "U8", "shape": [50], "data_offsets": [50, 100]}})",
         R"("t" occurs twice)"},
        {"tensor_is_no_object", R"({"t": 5})", R"(tensor "t": 5 where an object)"},
        {"no_dtype", One(R"("shape": [25], "data_offsets": [0, 100])"), "dtype: missing"},
        {"unknown_dtype", One(R"("dtype": "F33", "shape": [25], "data_offsets": [0, 100])"),
         R"(tensor "t": unknown dtype "F33")"},
        {"dtype_of_wrong_type", One(R"("dtype": 3, "shape": [25], "data_offsets": [0, 100])"),
         "dtype: 3 where a string"},
        {"no_shape", One(R"("dtype": "F32", "data_offsets": [0, 100])"), "shape is missing"},
        {"shape_is_a_number", One(R"("dtype": "F32", "shape": 25, "data_offsets": [0, 100])"),
         "shape is 25"},
        {"negative_dimension",
         One(R"("dtype": "F32", "shape": [-5, -5], "data_offsets": [0, 100])"), "shape has -5"},
        {"fractional_dimension",
         One(R"("dtype": "F32", "shape": [25.0], "data_offsets": [0, 100])"), "shape has 25.0"},
        {"dimension_beyond_int64",
         One(R"("dtype": "F32", "shape": [18446744073709551615], "data_offsets": [0, 100])"),
         "shape has 18446744073709551615"},
        {"too_many_dimensions",
         One(R"("dtype": "U8", "shape": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,100],
               "data_offsets": [0, 100])"),
         "shape is a list of 17 values"},
        // 2^62 x 4 elements of 4 bytes: 2^66, which wraps to 0; and one that wraps to 100.
        {"product_overflows",
         One(R"("dtype": "F32", "shape": [4611686018427387904, 4], "data_offsets": [0, 0])"),
         "need too many bytes"},
        {"product_overflows_to_the_size_of_the_data",
         One(R"("dtype": "U8", "shape": [7378697629483820647, 100], "data_offsets": [0, 100])"),
         "need too many bytes"},
        {"shape_larger_than_its_data",
         One(R"("dtype": "F32", "shape": [26], "data_offsets": [0, 100])"),
         "need 104 bytes, data_offsets hold 100"},
        {"shape_smaller_than_its_data",
         One(R"("dtype": "F32", "shape": [24], "data_offsets": [0, 100])"),
         "need 96 bytes, data_offsets hold 100"},
        {"half_a_byte", One(R"("dtype": "F4", "shape": [199], "data_offsets": [0, 100])"),
         "need too many bytes"},
        {"no_offsets", One(R"("dtype": "F32", "shape": [25])"), "data_offsets is missing"},
        {"one_offset", One(R"("dtype": "F32", "shape": [25], "data_offsets": [0])"),
         "not a begin and an end"},
        {"three_offsets", One(R"("dtype": "F32", "shape": [25], "data_offsets": [0, 100, 100])"),
         "not a begin and an end"},
        {"end_before_begin", One(R"("dtype": "F32", "shape": [0], "data_offsets": [8, 4])"),
         "not a begin and an end"},
        {"negative_offset", One(R"("dtype": "F32", "shape": [26], "data_offsets": [-4, 100])"),
         "data_offsets has -4"},
        {"end_beyond_the_data", One(R"("dtype": "F32", "shape": [26], "data_offsets": [0, 104])"),
         "data end at byte 104, the file's at 100"},
        {"everything_beyond_the_data", One(R"("dtype": "F32", "shape": [1],
               "data_offsets": [9223372036854775803, 9223372036854775807])"),
         "the file's at 100"},
        {"overlap",
         R"({"a": {"dtype": "U8", "shape": [60], "data_offsets": [0, 60]},
             "b": {"dtype": "U8", "shape": [41], "data_offsets": [59, 100]}})",
         R"(tensor "b": its data overlap those of "a")"},
        {"same_data_twice",
         R"({"a": {"dtype": "U8", "shape": [100], "data_offsets": [0, 100]},
             "b": {"dtype": "U8", "shape": [100], "data_offsets": [0, 100]}})",
         "overlap"},
        {"empty_tensor_inside_of_another",
         R"({"a": {"dtype": "U8", "shape": [100], "data_offsets": [0, 100]},
             "b": {"dtype": "U8", "shape": [0], "data_offsets": [50, 50]}})",
         "overlap"},
        {"hole",
         R"({"a": {"dtype": "U8", "shape": [50], "data_offsets": [0, 50]},
             "b": {"dtype": "U8", "shape": [49], "data_offsets": [51, 100]}})",
         R"(tensor "b": bytes 50 to 51 before it belong to no tensor)"},
        {"hole_at_the_start", One(R"("dtype": "U8", "shape": [96], "data_offsets": [4, 100])"),
         "bytes 0 to 4"},
        {"rest", One(R"("dtype": "U8", "shape": [96], "data_offsets": [0, 96])"),
         "the last 4 bytes of the file"},
        {"no_tensor_for_data", "{}", "the last 100 bytes"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(SafetensorsFileTest, MapsTheDataOfATensor) {
  const std::string path = MakeTestDir() + "/x.safetensors";
  // The odd length of the header leaves the data unaligned.
  WriteFile(path, SafetensorsBytes(
                      R"({"t": {"dtype": "U8", "shape": [3], "data_offsets": [2, 5]},
                          "s": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}})",
                      "abcde"));
  auto opened = SafetensorsFile::Open(path);
  ASSERT_THAT(opened, IsOk());
  const SafetensorsFile file = *std::move(opened);
  ASSERT_EQ(file.entries().size(), 2u);
  const absl::Span<const uint8_t> bytes = file.bytes(file.entries()[1]);
  EXPECT_THAT(std::string(bytes.begin(), bytes.end()), "cde");
}

TEST(SafetensorsFileTest, RefusesAFileCutAnywhere) {
  const std::string path = MakeTestDir() + "/x.safetensors";
  const std::string bytes =
      SafetensorsBytes({F32Tensor("a", {3}, {1, 2, 3}), F32Tensor("b", {1, 2}, {4, 5})});
  WriteFile(path, bytes);
  ASSERT_THAT(SafetensorsFile::Open(path), IsOk());
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_EQ(truncate(path.c_str(), static_cast<off_t>(bytes.size())), 0);
    WriteFile(path, bytes.substr(0, size));
    EXPECT_THAT(SafetensorsFile::Open(path), StatusIs(kInvalid, HasSubstr(path + ": "))) << size;
  }
  WriteFile(path, bytes + "x");
  EXPECT_THAT(SafetensorsFile::Open(path), StatusIs(kInvalid, HasSubstr("the last 1 bytes")));
}

struct LyingLengthCase {
  std::string name;
  std::string first_8_bytes;
  std::string message;
};
class LyingLengthTest : public ::testing::TestWithParam<LyingLengthCase> {};

TEST_P(LyingLengthTest, IsRefused) {
  const std::string path = MakeTestDir() + "/x.safetensors";
  WriteFile(path, GetParam().first_8_bytes + "{}");
  EXPECT_THAT(SafetensorsFile::Open(path), StatusIs(kInvalid, HasSubstr(GetParam().message)));
}
INSTANTIATE_TEST_SUITE_P(
    Lengths, LyingLengthTest,
    ::testing::ValuesIn(std::vector<LyingLengthCase>{
        {"one_too_long", {"\3\0\0\0\0\0\0\0", 8}, "a header of 3 bytes in a file of 10 bytes"},
        {"absurd", {"\xff\xff\xff\xff\xff\xff\xff\xff", 8}, "a header of 18446744073709551615"},
        {"wraps_with_the_8_bytes", {"\xf8\xff\xff\xff\xff\xff\xff\xff", 8}, "a header of 18446"},
        {"zero", {"\0\0\0\0\0\0\0\0", 8}, "does not start with {"},
        {"one_too_short", {"\1\0\0\0\0\0\0\0", 8}, "not valid JSON"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(SafetensorsFileTest, RefusesAHeaderBeyondTheLimit) {
  const std::string path = MakeTestDir() + "/x.safetensors";
  WriteFile(path, SafetensorsBytes("{}", ""));
  const uint64_t size = kMaxSafetensorsHeaderBytes + 1;
  WriteFile(path, SafetensorsBytes("{}" + std::string(size - 2, ' '), ""));
  EXPECT_THAT(SafetensorsFile::Open(path),
              StatusIs(kInvalid, HasSubstr(absl::StrCat("at most ", kMaxSafetensorsHeaderBytes))));
}

TEST(SafetensorsFileTest, ReportsWhatCannotBeOpened) {
  const std::string dir = MakeTestDir();
  EXPECT_THAT(SafetensorsFile::Open(dir + "/none"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(dir + "/none")));
  EXPECT_THAT(SafetensorsFile::Open(dir), StatusIs(kInvalid, HasSubstr("regular file")));
}

}  // namespace
}  // namespace facet
