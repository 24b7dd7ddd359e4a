// What the models write, well formed and not, and what becomes of it.

#include "examples/cpp/boxes.h"

#include <ostream>
#include <tuple>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace facet::examples {

bool operator==(const Box& a, const Box& b) {
  return std::tie(a.label, a.y_min, a.x_min, a.y_max, a.x_max) ==
         std::tie(b.label, b.y_min, b.x_min, b.y_max, b.x_max);
}
void PrintTo(const Box& box, std::ostream* out) {
  *out << box.label << " " << box.y_min << " " << box.x_min << " " << box.y_max << " " << box.x_max;
}

namespace {

const char kCat[] = R"({"box_2d": [100, 200, 300, 400], "label": "cat"})";
const Box kCatBox = {"cat", 100, 200, 300, 400};

std::string Cat(const std::string& before, const std::string& after) {
  return before + kCat + after;
}

struct AnswerCase {
  std::string name;
  std::string answer;
  std::vector<Box> boxes;
};
void PrintTo(const AnswerCase& c, std::ostream* out) { *out << c.name; }
class ParseBoxesTest : public testing::TestWithParam<AnswerCase> {};

TEST_P(ParseBoxesTest, SoundBoxesAreTaken) {
  EXPECT_THAT(ParseBoxes(GetParam().answer), testing::ElementsAreArray(GetParam().boxes));
}

INSTANTIATE_TEST_SUITE_P(
    Answers, ParseBoxesTest,
    testing::ValuesIn(std::vector<AnswerCase>{
        {"fenced", Cat("```json\n[\n  ", "\n]\n```"), {kCatBox}},
        {"bare_list", Cat("[", "]"), {kCatBox}},
        {"one_object", kCat, {kCatBox}},
        {"prose_around", Cat("Here {it} is:\n```json\n[", "]\n```\nI see {one} cat."), {kCatBox}},
        {"list_in_an_object", Cat("{\"objects\": [", "]}"), {kCatBox}},
        {"cut_off_in_the_second", Cat("```json\n[", ", {\"box_2d\": [1, 2,"), {kCatBox}},
        {"two", Cat(Cat("[", ","), "]"), {kCatBox, kCatBox}},
        {"nothing_found", "[]", {}},
        {"prose_alone", "There is no cat.", {}},
        {"empty", "", {}},
        {"three_corners", R"([{"box_2d": [1, 2, 3], "label": "cat"}])", {}},
        {"words_for_numbers", R"([{"box_2d": ["1", 2, 3, 4], "label": "cat"}])", {}},
        {"true_is_no_number", R"([{"box_2d": [true, 2, 3, 4], "label": "cat"}])", {}},
        {"no_area", R"([{"box_2d": [5, 2, 5, 4], "label": "cat"}])", {}},
        {"corners_swapped", R"([{"box_2d": [300, 400, 100, 200], "label": "cat"}])", {kCatBox}},
        {"outside", R"([{"box_2d": [-5, 0, 500, 1200]}])", {{"", 0, 0, 500, 1000}}},
        {"fractions", R"([{"box_2d": [1.5, 0, 500, 1000]}])", {{"", 1.5, 0, 500, 1000}}},
        {"label_that_is_no_text",
         R"([{"box_2d": [100, 200, 300, 400], "label": 7}])",
         {{"7", 100, 200, 300, 400}}},
        {"braces_and_quotes_in_a_label",
         R"([{"label": "a \"{b}\" ]", "box_2d": [100, 200, 300, 400]}])",
         {{"a \"{b}\" ]", 100, 200, 300, 400}}},
        {"trailing_comma", Cat("[", ",]"), {kCatBox}},
        {"another_notation", R"([{"bbox": [100, 200, 300, 400], "label": "cat"}])", {}},
        {"very_deep", std::string(5000, '{') + kCat, {kCatBox}},
        {"not_utf8", "{\"box_2d\": [1, 2, 3, 4], \"label\": \"\xff\"}", {}},
    }),
    [](const auto& info) { return info.param.name; });

TEST(BoxTest, PixelsAreLeftTopRightBottom) {
  const PixelBox pixels = kCatBox.Pixels(640, 480);
  EXPECT_EQ(pixels.left, 128);
  EXPECT_EQ(pixels.top, 48);
  EXPECT_EQ(pixels.right, 256);
  EXPECT_EQ(pixels.bottom, 144);
}

TEST(BoxTest, TheSchemaTakesWhatTheParserReads) {
  const auto schema = nlohmann::json::parse(BoxSchema({"cat", "dog"}, 1, 3));
  EXPECT_EQ(schema["minItems"], 1);
  EXPECT_EQ(schema["maxItems"], 3);
  EXPECT_EQ(schema["items"]["properties"]["label"]["enum"], nlohmann::json({"cat", "dog"}));
}

}  // namespace
}  // namespace facet::examples
