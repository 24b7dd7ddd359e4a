#include "services/client/flag_set.h"

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::StatusIs;

class FlagSetTest : public ::testing::Test {
 protected:
  FlagSetTest() {
    flags_.Text("prompt", "TEXT", "the prompt", &prompt_);
    flags_.TextList("stop", "TEXT", "stop before it", &stop_);
    flags_.Int("max-tokens", "N", "at most", &max_tokens_);
    flags_.Uint64("seed", "N", "the seed", &seed_);
    flags_.Number("temperature", "T", "heat", &temperature_);
    flags_.IntList("ids", "IDS", "ids", &ids_);
    flags_.Switch("json", "print JSON", &json_);
  }

  absl::Status Parse(std::vector<std::string> arguments) {
    return flags_.Parse(arguments, &positional_, &help_);
  }

  FlagSet flags_;
  std::optional<std::string> prompt_;
  std::vector<std::string> stop_;
  std::optional<int32_t> max_tokens_;
  std::optional<uint64_t> seed_;
  std::optional<double> temperature_;
  std::optional<std::vector<int32_t>> ids_;
  bool json_ = false;
  bool help_ = false;
  std::vector<std::string> positional_;
};

TEST_F(FlagSetTest, ReadsEveryKindOfValue) {
  ASSERT_THAT(Parse({"--prompt", "hi there", "--max_tokens=7", "--seed", "18446744073709551615",
                     "--temperature", "0.5", "--ids", "1,2, 3", "--json", "word"}),
              IsOk());
  EXPECT_EQ(prompt_, "hi there");
  EXPECT_EQ(max_tokens_, 7);
  EXPECT_EQ(seed_, 18446744073709551615u);
  EXPECT_EQ(temperature_, 0.5);
  EXPECT_THAT(*ids_, ElementsAre(1, 2, 3));
  EXPECT_TRUE(json_);
  EXPECT_THAT(positional_, ElementsAre("word"));
}

TEST_F(FlagSetTest, ValuesMayBeEmptyOrLookLikeFlags) {
  ASSERT_THAT(Parse({"--prompt", "", "--stop", "--json", "--stop=", "--stop", "-", "--stop=a=b"}),
              IsOk());
  EXPECT_EQ(prompt_, "");
  EXPECT_THAT(stop_, ElementsAre("--json", "", "-", "a=b"));
  EXPECT_FALSE(json_);
  EXPECT_THAT(Parse({"--prompt", "--help"}), IsOk());
  EXPECT_FALSE(help_);
  EXPECT_EQ(prompt_, "--help");
}

TEST_F(FlagSetTest, SwitchesTakeTrueAndFalse) {
  ASSERT_THAT(Parse({"--json=true"}), IsOk());
  EXPECT_TRUE(json_);
  ASSERT_THAT(Parse({"--json=false"}), IsOk());
  EXPECT_FALSE(json_);
  EXPECT_THAT(Parse({"--json=maybe"}), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(FlagSetTest, ABareDoubleDashEndsTheFlags) {
  ASSERT_THAT(Parse({"--json", "--", "--prompt", "x"}), IsOk());
  EXPECT_THAT(positional_, ElementsAre("--prompt", "x"));
  EXPECT_EQ(prompt_, std::nullopt);
}

TEST_F(FlagSetTest, SaysWhatIsWrong) {
  const auto refused = [](const std::string& word) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(word));
  };
  EXPECT_THAT(Parse({"--nonsense"}), refused("--nonsense"));
  EXPECT_THAT(Parse({"--prompt"}), refused("--prompt"));
  EXPECT_THAT(Parse({"--prompt", "a", "--prompt", "b"}), refused("twice"));
  EXPECT_THAT(Parse({"--max-tokens", "many"}), refused("many"));
  EXPECT_THAT(Parse({"--max-tokens", "99999999999"}), refused("--max-tokens"));
  EXPECT_THAT(Parse({"--seed", "-1"}), refused("--seed"));
  EXPECT_THAT(Parse({"--temperature", "hot"}), refused("hot"));
  EXPECT_THAT(Parse({"--ids", "1,x"}), refused("--ids"));
  EXPECT_THAT(Parse({"--ids", ""}), refused("--ids"));
}

TEST_F(FlagSetTest, HelpEndsTheParsing) {
  EXPECT_THAT(Parse({"--help", "--nonsense"}), IsOk());
  EXPECT_TRUE(help_);
  EXPECT_THAT(flags_.Help(), HasSubstr("--max-tokens N"));
  EXPECT_THAT(flags_.Help(), HasSubstr("may be repeated"));
}

TEST_F(FlagSetTest, NothingIsSetByNothing) {
  ASSERT_THAT(Parse({}), IsOk());
  EXPECT_EQ(prompt_, std::nullopt);
  EXPECT_THAT(positional_, IsEmpty());
}

}  // namespace
}  // namespace facet
