#include "model/chat/template_choice.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

class TemplateChoiceTest : public ::testing::Test {
 protected:
  TemplateChoiceTest() {
    dir_ = ::testing::TempDir() + "/" +
           ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(dir_);
    small_.per_layer_input_size = 256;
  }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ + "/" + name) << text;
  }

  std::string dir_;
  ModelConfig small_, large_;
};

TEST_F(TemplateChoiceTest, WithoutATemplateTheModelDecides) {
  const auto small = ChooseChatTemplate(dir_, small_, UnknownTemplatePolicy::kRefuse);
  ASSERT_THAT(small, IsOk());
  EXPECT_EQ(small->variant, ChatVariant::kSmall);
  EXPECT_EQ(small->warning, "");
  EXPECT_EQ(small->sha256, "");
  const auto large = ChooseChatTemplate(dir_, large_, UnknownTemplatePolicy::kRefuse);
  ASSERT_THAT(large, IsOk());
  EXPECT_EQ(large->variant, ChatVariant::kLarge);
}

TEST_F(TemplateChoiceTest, AnUnknownOneIsReplacedWithAWarningOrRefused) {
  Write("chat_template.jinja", "{{ messages }}");
  const auto choice = ChooseChatTemplate(dir_, small_, UnknownTemplatePolicy::kUseOurs);
  ASSERT_THAT(choice, IsOk());
  EXPECT_EQ(choice->variant, ChatVariant::kSmall);
  EXPECT_EQ(choice->path, dir_ + "/chat_template.jinja");
  // sha256sum of those bytes.
  EXPECT_EQ(choice->sha256, "f24189f08c85a1eb19a737306c3a13e85462ee33d964f28108d64a2485fa2171");
  EXPECT_THAT(choice->warning,
              AllOf(HasSubstr(choice->sha256), HasSubstr(std::string(kSmallTemplateSha256)),
                    HasSubstr("is used instead")));
  EXPECT_THAT(
      ChooseChatTemplate(dir_, large_, UnknownTemplatePolicy::kRefuse),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr(choice->sha256), HasSubstr(std::string(kLargeTemplateSha256)))));
}

TEST_F(TemplateChoiceTest, TokenizerConfigIsTheSecondPlace) {
  Write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "x"},
                                     {"name": "default", "template": "{{ messages }}"}]})");
  const auto choice = ChooseChatTemplate(dir_, small_, UnknownTemplatePolicy::kUseOurs);
  ASSERT_THAT(choice, IsOk());
  EXPECT_EQ(choice->path, dir_ + "/tokenizer_config.json");
  EXPECT_EQ(choice->sha256, "f24189f08c85a1eb19a737306c3a13e85462ee33d964f28108d64a2485fa2171");
  Write("chat_template.jinja", "another");
  EXPECT_EQ(ChooseChatTemplate(dir_, small_, UnknownTemplatePolicy::kUseOurs)->path,
            dir_ + "/chat_template.jinja");
}

TEST_F(TemplateChoiceTest, TokenizerConfigWithoutATemplateIsNone) {
  Write("tokenizer_config.json", R"({"bos_token": "<bos>"})");
  const auto choice = ChooseChatTemplate(dir_, small_, UnknownTemplatePolicy::kRefuse);
  ASSERT_THAT(choice, IsOk());
  EXPECT_EQ(choice->path, "");
}

TEST_F(TemplateChoiceTest, FilesThatAreNotWhatTheyShouldBeAreNamed) {
  for (const std::string text : {"{", R"({"chat_template": 3})", R"({"chat_template": []})",
                                 R"({"chat_template": [{"name": "rag", "template": "x"}]})"}) {
    Write("tokenizer_config.json", text);
    EXPECT_THAT(ChooseChatTemplate(dir_, small_, UnknownTemplatePolicy::kUseOurs),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("tokenizer_config.json")))
        << text;
  }
}

}  // namespace
}  // namespace facet
