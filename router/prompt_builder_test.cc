#include "router/prompt_builder.h"

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router/testing/test_model.h"

namespace facet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IdOf;
using testing::IsOk;
using testing::StatusIs;

class PromptBuilderTest : public ::testing::Test {
 protected:
  v1::Prompt Text(const std::string& text, bool parse_special = false) {
    v1::Prompt prompt;
    prompt.set_text(text);
    prompt.set_parse_special(parse_special);
    return prompt;
  }

  std::vector<int32_t> Build(const v1::Prompt& prompt) {
    auto ids = builder_.Build(prompt);
    EXPECT_THAT(ids, IsOk());
    return ids.ok() ? *ids : std::vector<int32_t>();
  }

  std::unique_ptr<ServedModel> model_ = testing::MakeTestModel();
  PromptBuilder builder_{model_.get()};
  const int32_t bos_ = IdOf(*model_, "<bos>");
};

TEST_F(PromptBuilderTest, PutsBosInFrontOfText) {
  const std::vector<int32_t> plain = *model_->tokenizer->Encode("hi there", {});
  std::vector<int32_t> want = {bos_};
  want.insert(want.end(), plain.begin(), plain.end());
  EXPECT_EQ(Build(Text("hi there")), want);
  v1::Prompt prompt = Text("hi there");
  prompt.set_add_bos(true);
  EXPECT_EQ(Build(prompt), want);
  prompt.set_add_bos(false);
  EXPECT_EQ(Build(prompt), plain);
}

TEST_F(PromptBuilderTest, DoesNotDoubleAParsedBos) {
  const std::vector<int32_t> ids = Build(Text("<bos>hi", /*parse_special=*/true));
  EXPECT_EQ(ids[0], bos_);
  EXPECT_NE(ids[1], bos_);
  EXPECT_EQ(ids, Build(Text("hi")));
}

TEST_F(PromptBuilderTest, TextThatLooksLikeBosIsPlainTextBehindABos) {
  const std::vector<int32_t> ids = Build(Text("<bos>hi"));
  EXPECT_EQ(ids[0], bos_);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), bos_), 1);
  EXPECT_EQ(model_->tokenizer->Decode(ids, /*skip_special=*/true), "<bos>hi");
}

TEST_F(PromptBuilderTest, ControlTokensNeedParsing) {
  const int32_t turn = IdOf(*model_, "<|turn>");
  const std::vector<int32_t> plain = Build(Text("<|turn>model"));
  EXPECT_EQ(std::count(plain.begin(), plain.end(), turn), 0);
  const std::vector<int32_t> parsed = Build(Text("<|turn>model", /*parse_special=*/true));
  EXPECT_EQ(parsed[1], turn);
}

TEST_F(PromptBuilderTest, TokenIdsAreTakenAsTheyAre) {
  v1::Prompt prompt;
  for (const int id : {9, 8, 7}) prompt.mutable_token_ids()->add_ids(id);
  EXPECT_THAT(Build(prompt), ElementsAre(9, 8, 7));
}

TEST_F(PromptBuilderTest, ACheckpointWithoutBosGetsNoneUnlessItIsAskedFor) {
  model_->bos_token_id.reset();
  EXPECT_EQ(Build(Text("hi")), *model_->tokenizer->Encode("hi", {}));
  v1::Prompt prompt = Text("hi");
  prompt.set_add_bos(true);
  EXPECT_THAT(builder_.Build(prompt),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("add_bos")));
}

TEST_F(PromptBuilderTest, RefusesTokensThatTheModelDoesNotHave) {
  const std::vector<int32_t> ids = *model_->tokenizer->Encode("hi", {});
  model_->config.vocab_size = *std::max_element(ids.begin(), ids.end());
  EXPECT_THAT(builder_.Build(Text("hi")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("token")));
}

}  // namespace
}  // namespace facet
