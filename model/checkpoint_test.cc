#include "model/checkpoint.h"

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

using ::facet::testing::Bf16Tensor;
using ::facet::testing::F32Tensor;
using ::facet::testing::IsOk;
using ::facet::testing::MakeTestDir;
using ::facet::testing::StatusIs;
using ::facet::testing::TensorToWrite;
using ::facet::testing::WriteFile;
using ::facet::testing::WriteSafetensors;
using ::facet::testing::WriteShardedSafetensors;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr char kShard1[] = "model-00001-of-00002.safetensors";
constexpr char kShard2[] = "model-00002-of-00002.safetensors";

const TensorToWrite kA = F32Tensor("a", {2, 2}, {1, 2, 3, 4});
const TensorToWrite kB = Bf16Tensor("b", {3}, {0.5f, -2, 8});
const TensorToWrite kIds = {"ids", "I64", {1}, {7, 0, 0, 0, 0, 0, 0, 0}};
const TensorToWrite kHalf = {"half", "F16", {2}, {0x00, 0x3c, 0x00, 0xc0}};  // 1, -2

class CheckpointTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Checkpoint>> Open() { return OpenCheckpoint(dir_); }
  std::string At(const std::string& name) const { return dir_ + "/" + name; }
  const std::string dir_ = MakeTestDir();
};

TEST_F(CheckpointTest, FindsTensorsOfASingleFile) {
  WriteSafetensors(At("model.safetensors"), {kB, kA, kHalf, kIds});
  const auto checkpoint = Open();
  ASSERT_THAT(checkpoint, IsOk());
  EXPECT_THAT((*checkpoint)->TensorNames(), ElementsAre("a", "b", "half", "ids"));
  const TensorInfo* a = (*checkpoint)->Find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->dtype, DType::kF32);
  EXPECT_THAT(a->shape, ElementsAre(2, 2));
  EXPECT_EQ(a->bytes, absl::MakeConstSpan(kA.bytes));
  const TensorInfo* b = (*checkpoint)->Find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->dtype, DType::kBF16);
  EXPECT_EQ(b->bytes, absl::MakeConstSpan(kB.bytes));
  const TensorInfo* half = (*checkpoint)->Find("half");
  ASSERT_NE(half, nullptr);
  EXPECT_EQ(half->dtype, DType::kF16);
  EXPECT_EQ((*checkpoint)->Find("c"), nullptr);
  EXPECT_EQ((*checkpoint)->StoredType("c"), "");
}

TEST_F(CheckpointTest, ListsButDoesNotFindTensorsOfOtherTypes) {
  WriteSafetensors(At("model.safetensors"), {kIds});
  const auto checkpoint = Open();
  ASSERT_THAT(checkpoint, IsOk());
  EXPECT_EQ((*checkpoint)->Find("ids"), nullptr);
  EXPECT_EQ((*checkpoint)->StoredType("ids"), "I64");
  EXPECT_THAT((*checkpoint)->TensorNames(), ElementsAre("ids"));
}

TEST_F(CheckpointTest, FindsTensorsOfAllShards) {
  WriteShardedSafetensors(dir_, {{kShard1, {kA}}, {kShard2, {kB}}});
  const auto checkpoint = Open();
  ASSERT_THAT(checkpoint, IsOk());
  EXPECT_THAT((*checkpoint)->TensorNames(), ElementsAre("a", "b"));
  EXPECT_EQ((*checkpoint)->Find("a")->bytes, absl::MakeConstSpan(kA.bytes));
  EXPECT_EQ((*checkpoint)->Find("b")->bytes, absl::MakeConstSpan(kB.bytes));
}

TEST_F(CheckpointTest, FollowsLinksToFilesElsewhere) {
  const std::string blob = MakeTestDir() + "/blob";
  WriteSafetensors(blob, {kA});
  ASSERT_EQ(symlink(blob.c_str(), At("model.safetensors").c_str()), 0);
  const auto checkpoint = Open();
  ASSERT_THAT(checkpoint, IsOk());
  EXPECT_THAT((*checkpoint)->TensorNames(), ElementsAre("a"));
}

TEST_F(CheckpointTest, TakesOnlyWhatTheIndexNames) {
  WriteShardedSafetensors(dir_, {{kShard1, {kA}}, {kShard2, {kB}}});
  WriteSafetensors(At(kShard2), {kA, kB});  // "a" is in both, the index says in the first
  const auto checkpoint = Open();
  ASSERT_THAT(checkpoint, IsOk());
  EXPECT_THAT((*checkpoint)->TensorNames(), ElementsAre("a", "b"));
}

TEST_F(CheckpointTest, ReportsAFolderWithoutACheckpoint) {
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kNotFound,
                               HasSubstr(dir_ + ": there is neither model.safetensors nor")));
  EXPECT_THAT(OpenCheckpoint(dir_ + "/none"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(CheckpointTest, NamesTheBadFile) {
  WriteShardedSafetensors(dir_, {{kShard1, {kA}}, {kShard2, {kB}}});
  ASSERT_EQ(truncate(At(kShard2).c_str(), 90), 0);
  EXPECT_THAT(Open(), StatusIs(kInvalid, HasSubstr(At(kShard2))));
}

TEST_F(CheckpointTest, RefusesAnIndexThatNamesAMissingFile) {
  WriteShardedSafetensors(dir_, {{kShard1, {kA}}, {kShard2, {kB}}});
  ASSERT_EQ(unlink(At(kShard2).c_str()), 0);
  EXPECT_THAT(Open(), StatusIs(kInvalid, HasSubstr(absl::StrCat("index.json: names \"", kShard2,
                                                                "\", which is not there"))));
}

TEST_F(CheckpointTest, RefusesAnIndexThatNamesAMissingTensor) {
  WriteShardedSafetensors(dir_, {{kShard1, {kA}}, {kShard2, {kB}}});
  WriteSafetensors(At(kShard1), {kHalf});
  EXPECT_THAT(Open(),
              StatusIs(kInvalid, HasSubstr(absl::StrCat(
                                     kShard1, ": the index says that tensor \"a\" is here"))));
}

struct BadIndexCase {
  std::string name;
  std::string index;
  std::string message;
};
class BadIndexTest : public ::testing::TestWithParam<BadIndexCase> {};

TEST_P(BadIndexTest, IsRefused) {
  const std::string root = MakeTestDir();
  const std::string dir = root + "/model.safetensors.d";
  ASSERT_EQ(system(("mkdir " + dir).c_str()), 0);
  WriteSafetensors(root + "/outside.safetensors", {kA});
  WriteSafetensors(dir + "/x.safetensors", {kA});
  WriteFile(dir + "/model.safetensors.index.json", GetParam().index);
  EXPECT_THAT(OpenCheckpoint(dir), StatusIs(kInvalid, HasSubstr(GetParam().message)));
}
INSTANTIATE_TEST_SUITE_P(
    Indexes, BadIndexTest,
    ::testing::ValuesIn(std::vector<BadIndexCase>{
        {"no_json", "{", "not valid JSON"},
        {"no_object", "[]", "index.json: a list of 0 values where an object"},
        {"no_weight_map", "{}", "weight_map: missing"},
        {"weight_map_is_no_object", R"({"weight_map": []})", "weight_map: a list"},
        {"no_tensors", R"({"weight_map": {}})", "weight_map: names no tensor"},
        {"file_is_no_string", R"({"weight_map": {"a": 5}})", "weight_map.\"a\": 5 is not the name"},
        {"file_is_null", R"({"weight_map": {"a": null}})", "weight_map.\"a\": null is not"},
        {"tensor_twice", R"({"weight_map": {"a": "x.safetensors", "a": "x.safetensors"}})",
         "\"a\" occurs twice"},
        {"parent_folder", R"({"weight_map": {"a": "../outside.safetensors"}})",
         R"("a": "../outside.safetensors" is not the name of a .safetensors file)"},
        {"absolute_path", R"({"weight_map": {"a": "/etc/x.safetensors"}})", "is not the name"},
        {"sub_folder", R"({"weight_map": {"a": "sub/x.safetensors"}})", "is not the name"},
        {"hidden_file", R"({"weight_map": {"a": ".safetensors"}})", "is not the name"},
        {"other_extension", R"({"weight_map": {"a": "pytorch_model.bin"}})", "is not the name"},
        {"empty_name", R"({"weight_map": {"a": ""}})", "is not the name"},
        {"zero_byte", R"({"weight_map": {"a": "x.safetensors\u0000.safetensors"}})",
         "is not the name"},
    }),
    [](const auto& info) { return info.param.name; });

TEST_F(CheckpointTest, RefusesAnIndexOfTooManyFiles) {
  std::string map;
  for (int i = 0; i < 1025; ++i)
    absl::StrAppend(&map, i ? "," : "", "\"", i, "\":\"", i, ".safetensors\"");
  WriteFile(At("model.safetensors.index.json"), R"({"weight_map": {)" + map + "}}");
  EXPECT_THAT(Open(), StatusIs(kInvalid, HasSubstr("names 1025 files, at most 1024")));
}

class FingerprintTest : public CheckpointTest {
 protected:
  // Of a checkpoint of tensor "a" and a config.json.
  std::string Of(const TensorToWrite& a, const std::string& config) {
    WriteSafetensors(At("model.safetensors"), {a});
    WriteFile(At("config.json"), config);
    const auto checkpoint = Open();
    EXPECT_THAT(checkpoint, IsOk());
    return checkpoint.ok() ? (*checkpoint)->Fingerprint() : "";
  }
};

TEST_F(FingerprintTest, IsTheSameForCopiesAndDiffersOtherwise) {
  const std::string original = Of(kA, "{}");
  EXPECT_EQ(original.size(), 16u);
  WriteSafetensors(dir_ + "/../copy.safetensors", {kA});
  const std::string elsewhere = MakeTestDir();
  WriteSafetensors(elsewhere + "/model.safetensors", {kA});
  WriteFile(elsewhere + "/config.json", "{}");
  EXPECT_EQ((*OpenCheckpoint(elsewhere))->Fingerprint(), original);

  EXPECT_NE(Of(kA, "{ }"), original);
  EXPECT_NE(Of(F32Tensor("a", {4}, {1, 2, 3, 4}), "{}"), original);
  EXPECT_NE(Of(F32Tensor("b", {2, 2}, {1, 2, 3, 4}), "{}"), original);
  EXPECT_NE(Of(F32Tensor("a", {2, 2}, {1, 2, 3, 5}), "{}"), original);
  EXPECT_EQ(Of(kA, "{}"), original);
}

TEST_F(FingerprintTest, TellsFineTunedWeightsApart) {
  std::vector<float> values(100'000, 0.25f);
  const std::string original = Of(F32Tensor("a", {100'000}, values), "{}");
  for (float& value : values) value += 0.001f;  // all weights move a little
  EXPECT_NE(Of(F32Tensor("a", {100'000}, values), "{}"), original);
}

}  // namespace
}  // namespace facet
