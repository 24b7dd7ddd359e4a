#include "router/served_model.h"

#include <filesystem>
#include <fstream>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/checkpoint.h"

namespace facet {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

// A folder that is filled with parts of the test data.
class ServedModelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::path(::testing::TempDir()) /
           ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    for (const char* file : {"config.json", "generation_config.json", "model.safetensors"}) {
      Copy(std::string("tests/golden/dense/") + file);
    }
    Copy("tests/golden/tokenizer/small/tokenizer.json");
  }

  void Copy(const fs::path& file) {
    fs::copy_file(file, dir_ / file.filename());
    fs::permissions(dir_ / file.filename(), fs::perms::owner_all);
  }
  void Write(const std::string& name, const std::string& content) {
    std::ofstream(dir_ / name) << content;
  }
  absl::StatusOr<std::unique_ptr<const ServedModel>> Load(const std::string& name = "") {
    return LoadServedModel(dir_.string(), name);
  }

  fs::path dir_;
};

TEST_F(ServedModelTest, ReadsWhatTheFolderHolds) {
  const auto model = Load();
  ASSERT_THAT(model, IsOk());
  EXPECT_EQ((*model)->name, "ReadsWhatTheFolderHolds");
  EXPECT_EQ((*model)->config.model_type, "gemma4");
  EXPECT_EQ((*model)->vocab_size(), 512);
  EXPECT_FALSE((*model)->generation.eos_token_ids.empty());
  ASSERT_NE((*model)->tokenizer, nullptr);
  EXPECT_EQ((*model)->bos_token_id, (*model)->tokenizer->TokenToId("<bos>"));
  const auto checkpoint = OpenCheckpoint(dir_.string());
  ASSERT_THAT(checkpoint, IsOk());
  EXPECT_EQ((*model)->fingerprint, (*checkpoint)->Fingerprint());
  EXPECT_NE((*model)->fingerprint, "");
}

TEST_F(ServedModelTest, TakesTheNameThatIsGiven) {
  EXPECT_EQ((*Load("other"))->name, "other");
  EXPECT_EQ((*LoadServedModel(dir_.string() + "/./", ""))->name, "TakesTheNameThatIsGiven");
}

TEST_F(ServedModelTest, WorksWithoutWeightsAndWithoutTokenizer) {
  fs::remove(dir_ / "model.safetensors");
  fs::remove(dir_ / "tokenizer.json");
  const auto model = Load();
  ASSERT_THAT(model, IsOk());
  EXPECT_EQ((*model)->fingerprint, "");
  EXPECT_EQ((*model)->tokenizer, nullptr);
  EXPECT_EQ((*model)->bos_token_id, (*model)->config.bos_token_id);
}

TEST_F(ServedModelTest, TheTokenizersConfigurationNamesTheBeginToken) {
  Write("tokenizer_config.json", R"({"bos_token": "<mask>"})");
  EXPECT_EQ((*Load())->bos_token_id, (*Load())->tokenizer->TokenToId("<mask>"));
  Write("tokenizer_config.json", R"({"bos_token": {"content": "<pad>", "special": true}})");
  EXPECT_EQ((*Load())->bos_token_id, (*Load())->tokenizer->TokenToId("<pad>"));
  Write("tokenizer_config.json", R"({"bos_token": null})");
  EXPECT_EQ((*Load())->bos_token_id, (*Load())->tokenizer->TokenToId("<bos>"));
  Write("tokenizer_config.json", R"({"bos_token": "no such piece"})");
  EXPECT_EQ((*Load())->bos_token_id, (*Load())->config.bos_token_id);
}

TEST_F(ServedModelTest, BrokenFilesAreErrorsThatNameThem) {
  Write("tokenizer_config.json", "{");
  EXPECT_THAT(Load(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("tokenizer_config.json")));
  Write("tokenizer_config.json", R"({"bos_token": 5})");
  EXPECT_THAT(Load(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("bos_token")));
  fs::remove(dir_ / "tokenizer_config.json");
  Write("tokenizer.json", "{");
  EXPECT_FALSE(Load().ok());
  fs::remove(dir_ / "tokenizer.json");
  Write("model.safetensors", "short");
  EXPECT_FALSE(Load().ok());
  fs::remove(dir_ / "config.json");
  EXPECT_THAT(Load(), StatusIs(absl::StatusCode::kNotFound, HasSubstr("config.json")));
}

}  // namespace
}  // namespace facet
