#include "model/tokenizer/vocabulary.h"

#include <string>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::HasSubstr;

TEST(VocabularyTest, FindsEveryPieceWhateverTheOrderOfTheIds) {
  constexpr int kPieces = 5000;
  Vocabulary vocabulary;
  for (int i = 0; i < kPieces; ++i) {
    const int id = (i * 1237) % kPieces;  // 1237 and 5000 have no common factor
    ASSERT_THAT(vocabulary.Add("piece " + std::to_string(id), id), IsOk());
    ASSERT_EQ(vocabulary.Find("piece " + std::to_string(id)), id);  // before Seal too
  }
  ASSERT_THAT(vocabulary.Seal(), IsOk());
  ASSERT_EQ(vocabulary.size(), kPieces);
  for (int id = 0; id < kPieces; ++id) {
    ASSERT_EQ(vocabulary.piece(id), "piece " + std::to_string(id));
    ASSERT_EQ(vocabulary.Find(vocabulary.piece(id)), id);
  }
  EXPECT_EQ(vocabulary.Find("piece 5000"), std::nullopt);
  EXPECT_EQ(vocabulary.Find(""), std::nullopt);
}

TEST(VocabularyTest, AnEmptyOneFindsNothing) { EXPECT_EQ(Vocabulary().Find("a"), std::nullopt); }

TEST(VocabularyTest, RefusesAPieceThatIsThere) {
  Vocabulary vocabulary;
  ASSERT_THAT(vocabulary.Add("a", 0), IsOk());
  EXPECT_THAT(vocabulary.Add("a", 7), StatusIs(absl::StatusCode::kInvalidArgument,
                                               HasSubstr("\"a\" appears twice, with ids 0 and 7")));
}

TEST(VocabularyTest, RefusesHolesInTheIds) {
  Vocabulary vocabulary;
  ASSERT_THAT(vocabulary.Add("a", 0), IsOk());
  ASSERT_THAT(vocabulary.Add("b", 2), IsOk());
  EXPECT_THAT(vocabulary.Seal(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"b\" has id 2")));
}

TEST(VocabularyTest, RefusesOneIdForTwoPieces) {
  Vocabulary vocabulary;
  ASSERT_THAT(vocabulary.Add("a", 0), IsOk());
  ASSERT_THAT(vocabulary.Add("b", 0), IsOk());
  EXPECT_THAT(vocabulary.Seal(), StatusIs(absl::StatusCode::kInvalidArgument,
                                          HasSubstr("id 0 is given to \"a\" and to \"b\"")));
}

TEST(QuotePieceTest, EscapesAndShortensWithoutCuttingACodePoint) {
  EXPECT_EQ(QuotePiece("a\n\"\x01"), "\"a\\n\\\"\\x01\"");
  std::string text(59, 'x');
  EXPECT_EQ(QuotePiece(text + "\u65e5!"), "\"" + text + "\"..");
}

}  // namespace
}  // namespace facet
