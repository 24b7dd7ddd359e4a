#include "model/tokenizer/json_reader.h"

#include <string>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::HasSubstr;

// A file with the given members of its model.
std::string WithModel(const std::string& members) {
  return R"({"version": "1.0", "model": {"type": "BPE", )" + members +
         R"(}, "last": [1, -2, 3.5, "x", null, true]})";
}

TEST(ReadTokenizerJsonTest, KeepsTheTablesApartFromTheRest) {
  const auto file = ReadTokenizerJson(WithModel(
      R"("merges": [["a", "b b"], "c d", ["\u2581", "\ud83d\ude0a"]], "vocab": {"a": 3, "\u00e9": 0})"));
  ASSERT_THAT(file, IsOk());
  ASSERT_EQ(file->vocab.size(), 2u);
  EXPECT_EQ(file->PieceText(file->vocab[0]), "a");
  EXPECT_EQ(file->vocab[0].id, 3);
  EXPECT_EQ(file->PieceText(file->vocab[1]), "\u00e9");
  ASSERT_EQ(file->merges.size(), 3u);
  EXPECT_EQ(file->LeftText(file->merges[0]), "a");
  EXPECT_EQ(file->RightText(file->merges[0]), "b b");
  EXPECT_EQ(file->MergedText(file->merges[1]), "cd");
  EXPECT_EQ(file->MergedText(file->merges[2]), "\u2581\U0001F60A");
  EXPECT_EQ(
      file->rest,
      nlohmann::json::parse(
          R"({"version": "1.0", "model": {"type": "BPE"}, "last": [1, -2, 3.5, "x", null, true]})"));
}

TEST(ReadTokenizerJsonTest, LeavesKeysOfTheSameNameElsewhereAlone) {
  const auto file = ReadTokenizerJson(
      R"({"vocab": {"x": []}, "other": {"vocab": {"y": 1}, "merges": [2]}, "list": [{"vocab": {}}],
          "model": {"deep": {"vocab": {"z": 1}}, "vocab": {}, "merges": []}})");
  ASSERT_THAT(file, IsOk());
  EXPECT_TRUE(file->vocab.empty());
  EXPECT_EQ(file->rest["other"]["vocab"]["y"], 1);
  EXPECT_EQ(file->rest["model"]["deep"]["vocab"]["z"], 1);
}

struct BadCase {
  std::string name;
  std::string json;
  std::string message;
};
class ReadBadTokenizerJsonTest : public ::testing::TestWithParam<BadCase> {};

TEST_P(ReadBadTokenizerJsonTest, IsRefusedWithTheReason) {
  EXPECT_THAT(ReadTokenizerJson(GetParam().json),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
}

std::string Repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

const std::string kNoMerges = R"(, "merges": [])";

INSTANTIATE_TEST_SUITE_P(
    Cases, ReadBadTokenizerJsonTest,
    ::testing::ValuesIn(std::vector<BadCase>{
        {"nothing", "", "not valid JSON"},
        {"cut_off", R"({"model": {"vocab": {"a": 0)", "not valid JSON at byte"},
        {"text_behind", WithModel(R"("vocab": {}, "merges": [])") + "}", "not valid JSON"},
        {"no_object", "[1]", "not a JSON object"},
        {"bad_utf8", "{\"a\": \"\xFF\"}", "not valid JSON"},
        {"lone_surrogate", R"({"a": "\ud800"})", "not valid JSON"},
        {"no_model", "{}", "model.vocab is not an object or missing"},
        {"no_merges", WithModel(R"("vocab": {})"), "model.merges is not an array or missing"},
        {"vocab_is_a_list", WithModel(R"("vocab": [])" + kNoMerges),
         "model.vocab is not an object"},
        {"merges_is_a_text", WithModel(R"("vocab": {}, "merges": "a b")"),
         "model.merges is not an array"},
        {"vocab_twice", WithModel(R"("vocab": {}, "vocab": {})" + kNoMerges),
         "model.vocab appears twice"},
        {"merges_twice", WithModel(R"("merges": [], "vocab": {})" + kNoMerges),
         "model.merges appears twice"},
        {"model_twice", R"({"model": {}, "model": {}})", "key \"model\" appears twice"},
        {"negative_id", WithModel(R"("vocab": {"a": -1})" + kNoMerges), "piece \"a\" has id -1"},
        {"fractional_id", WithModel(R"("vocab": {"a": 1.5})" + kNoMerges),
         "piece \"a\" has id 1.5"},
        {"huge_id", WithModel(R"("vocab": {"a": 99999999999})" + kNoMerges),
         "piece \"a\" has id 99999999999"},
        {"absurd_id", WithModel(R"("vocab": {"a": 1e400})" + kNoMerges), "1e400"},
        {"text_as_id", WithModel(R"("vocab": {"a": "0"})" + kNoMerges),
         "piece \"a\" has id string"},
        {"null_as_id", WithModel(R"("vocab": {"a": null})" + kNoMerges), "piece \"a\" has id null"},
        {"list_as_id", WithModel(R"("vocab": {"a": []})" + kNoMerges),
         "piece \"a\" has id an array"},
        {"object_as_id", WithModel(R"("vocab": {"a": {}})" + kNoMerges),
         "piece \"a\" has id an object"},
        {"empty_piece", WithModel(R"("vocab": {"": 0})" + kNoMerges), "a piece is empty"},
        {"long_piece", WithModel("\"vocab\": {\"" + Repeat("x", 5000) + "\": 0}" + kNoMerges),
         "a piece of 5000 bytes; the limit is 4096"},
        {"merge_without_space", WithModel(R"("vocab": {}, "merges": ["a b", "ab"])"),
         "model.merges[1] is no pair"},
        {"merge_with_two_spaces", WithModel(R"("vocab": {}, "merges": ["a b c"])"),
         "model.merges[0] is no pair"},
        {"merge_of_nothing", WithModel(R"("vocab": {}, "merges": [" b"])"),
         "model.merges[0] has an empty part"},
        {"merge_pair_of_nothing", WithModel(R"("vocab": {}, "merges": [["a", "b"], ["a", ""]])"),
         "model.merges[1] has an empty part"},
        {"merge_of_one", WithModel(R"("vocab": {}, "merges": [["a"]])"),
         "model.merges[0] has 1 parts instead of 2"},
        {"merge_of_none", WithModel(R"("vocab": {}, "merges": [["a", "b"], []])"),
         "model.merges[1] has 0 parts instead of 2"},
        {"merge_of_three", WithModel(R"("vocab": {}, "merges": [["a", "b"], ["a", "b", "c"]])"),
         "model.merges[1] has 3 parts instead of 2"},
        {"merge_of_a_number", WithModel(R"("vocab": {}, "merges": [["a", "b"], ["a", 1]])"),
         "model.merges[1] holds a number"},
        {"number_as_merge", WithModel(R"("vocab": {}, "merges": [7])"),
         "model.merges[0] holds a number"},
        {"object_as_merge", WithModel(R"("vocab": {}, "merges": [{}])"),
         "model.merges[0] holds an object"},
        {"list_in_merge", WithModel(R"("vocab": {}, "merges": [[["a"], "b"]])"),
         "model.merges[0] holds an array"},
        {"long_merge",
         WithModel("\"vocab\": {}, \"merges\": [[\"a\", \"" + Repeat("x", 4097) + "\"]]"),
         "has a part of 4097 bytes"},
        {"deep", R"({"a": )" + Repeat("[", 40) + Repeat("]", 40) + "}", "nested deeper than 32"},
        {"very_deep", Repeat("[", 1000000), "nested deeper than 32"},
    }),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace facet
