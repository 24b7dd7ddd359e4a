#include "model/answer/call_parser.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace facet {
namespace {

using Json = nlohmann::ordered_json;

// In these texts `~` stands for the string delimiter.
struct Parsed {
  std::string name, json;
  bool complete, broken;
};
Parsed Parse(absl::string_view text, size_t piece = 1000, const Json* schema = nullptr) {
  CallParser call([schema](absl::string_view) { return ArgumentSchema(schema); });
  std::string json;
  bool first = true;
  for (absl::string_view stretch : absl::StrSplit(text, '~')) {
    if (!first) call.PushQuote();
    first = false;
    for (; !stretch.empty(); stretch.remove_prefix(std::min(piece, stretch.size()))) {
      call.PushText(stretch.substr(0, piece));
      if (!call.broken()) json += call.TakeJson();
    }
    if (!call.broken()) json += call.TakeJson();
  }
  const bool broken = call.broken();
  const bool complete = call.Finish();
  return {call.name(), json + (complete ? call.TakeJson() : ""), complete, broken};
}

struct CallCase {
  const char* text;
  const char* name;
  const char* json;
};

TEST(CallParserTest, ReadsWhatTheGrammarAllows) {
  const CallCase cases[] = {
      {"call:a{}", "a", "{}"},
      {"a{}", "a", "{}"},
      {":a{}", "a", "{}"},
      {" call : a {} \n", "a", "{}"},
      {"callback{}", "callback", "{}"},
      {"call{}", "call", "{}"},
      {"call:my-tool.v2_X{}", "my-tool.v2_X", "{}"},
      {"call:f{a:1.50,b:-0,c:1e-07}", "f", R"({"a":1.50,"b":-0,"c":1e-07})"},
      {"call:f{a b:x y , c : z}", "f", R"({"a b":"x y","c":"z"})"},
      {"call:f{~a,:}~:~{,}]:~}", "f", R"({"a,:}":"{,}]:"})"},
      {"call:f{~~:~~}", "f", R"({"":""})"},
      {"call:f{a:[],b:{},c:[[],{}]}", "f", R"({"a":[],"b":{},"c":[[],{}]})"},
      {"call:f{a:[bug,ui,1,~2~,null]}", "f", R"({"a":["bug","ui",1,"2",null]})"},
      {"call:f{a:[1,],b:2,}", "f", R"({"a":[1],"b":2})"},
      {R"(call:f{"a:b":"x\"y,}\n","c":"\u00e9"})", "f", R"({"a:b":"x\"y,}\n","c":"é"})"},
      {"call:f{t:12:30,u:http://h/p?q=1}", "f", R"({"t":"12:30","u":"http://h/p?q=1"})"},
      {"call:f{\n  a: 1,\n  b: ~x~\n}\n", "f", R"({"a":1,"b":"x"})"},
      {"call:f{a:~\t\"\\~}", "f", R"({"a":"\t\"\\"})"},
      {"call:f{z:1,a:2,M:3}", "f", R"({"z":1,"a":2,"M":3})"},
      {"call:f{big:123456789012345678901234567890}", "f",
       R"({"big":123456789012345678901234567890})"},
      {"call:f{huge:1e999}", "f", R"({"huge":"1e999"})"},
  };
  for (const CallCase& c : cases) {
    for (const size_t piece : {1, 2, 3, 1000}) {
      const Parsed call = Parse(c.text, piece);
      EXPECT_TRUE(call.complete) << c.text;
      EXPECT_EQ(call.name, c.name) << c.text;
      EXPECT_EQ(call.json, c.json) << c.text << " in pieces of " << piece;
      EXPECT_FALSE(Json::parse(call.json, nullptr, false).is_discarded()) << c.text;
    }
  }
}

TEST(CallParserTest, NoticesWhatIsNoCall) {
  for (const char* text : {"call:{}",         "{}",
                           "call:a b{}",      "call:f~x~{}",
                           "~f~{}",           "call:é{}",
                           "call:f[1]",       "call:f(x)",
                           "call:a:b{}",      "call:f{a:1]",
                           "call:f{a:[1}",    "call:f{}}",
                           "call:f{} x",      "call:f{}~",
                           "call:f{a:~x~y}",  "call:f{a:x~y~}",
                           "call:f{a:}",      "call:f{a:,b:1}",
                           "call:f{a:[,]}",   "call:f{a:[1,,2]}",
                           "call:f{,}",       "call:f{:1}",
                           "call:f{~a~ b:1}", "call:f{~a~~b~}",
                           "call:f{a:1,a:2}", "call:f{a:1,~a~:2}",
                           "call:f{a:{}{}}"}) {
    for (const size_t piece : {1, 1000}) EXPECT_TRUE(Parse(text, piece).broken) << text;
  }
  for (const char* text : {"", "call:f", "call:f{", "call:f{a", "call:f{a}", "call:f{a:1",
                           "call:f{a:~x", "call:f{a:[1,2", "call:f{a:\"x}"}) {
    const Parsed call = Parse(text);
    EXPECT_FALSE(call.complete || call.broken) << text;
  }
}

TEST(CallParserTest, EveryLimitBreaksTheCallAndNothingElse) {
  const auto nested = [](size_t depth) {
    return absl::StrCat("f{a:", std::string(depth - 1, '['), std::string(depth - 1, ']'), "}");
  };
  EXPECT_TRUE(Parse(nested(CallParser::kMaxDepth)).complete);
  EXPECT_TRUE(Parse(nested(CallParser::kMaxDepth + 1)).broken);
  const auto named = [](size_t size) {
    return absl::StrCat("call:", std::string(size, 'n'), "{}");
  };
  EXPECT_TRUE(Parse(named(CallParser::kMaxNameBytes)).complete);
  EXPECT_TRUE(Parse(named(CallParser::kMaxNameBytes + 1)).broken);
  for (const char* quote : {"", "~"}) {
    const auto keyed = [quote](size_t size) {
      return absl::StrCat("f{", quote, std::string(size, 'k'), quote, ":1}");
    };
    EXPECT_TRUE(Parse(keyed(CallParser::kMaxKeyBytes)).complete);
    EXPECT_TRUE(Parse(keyed(CallParser::kMaxKeyBytes + 1)).broken);
  }
  const auto sized = [](size_t size) {
    return absl::StrCat("f{a:~", std::string(size, 's'), "~}");
  };
  EXPECT_TRUE(Parse(sized(CallParser::kMaxCallBytes - 100), 1 << 16).complete);
  EXPECT_TRUE(Parse(sized(CallParser::kMaxCallBytes), 1 << 16).broken);
}

TEST(CallParserTest, StringsGrowWithTheirTextAndBareValuesComeWhole) {
  CallParser call([](absl::string_view) { return ArgumentSchema(); });
  const auto push = [&call](absl::string_view text) {
    if (text == "~") {
      call.PushQuote();
    } else {
      call.PushText(text);
    }
    return call.TakeJson();
  };
  EXPECT_EQ(push("call:f"), "");
  EXPECT_EQ(call.name(), "");
  EXPECT_EQ(push("{"), "{");
  EXPECT_EQ(call.name(), "f");
  EXPECT_EQ(push("ke"), "");
  EXPECT_EQ(push("y:"), R"("key":)");
  EXPECT_EQ(push("~"), "\"");
  EXPECT_EQ(push("to"), "to");
  EXPECT_EQ(push("day"), "day");
  EXPECT_EQ(push("~"), "\"");
  EXPECT_EQ(push(",n:tr"), R"(,"n":)");
  EXPECT_EQ(push("ue"), "");
  EXPECT_EQ(push("}"), "true");
  EXPECT_TRUE(call.Finish());
  EXPECT_EQ(call.TakeJson(), "}");
}

TEST(CallParserTest, ASchemaTurnsValuesIntoItsTypesAtEveryLevel) {
  const Json schema = Json::parse(R"({"properties": {
      "n": {"type": "integer"}, "s": {"type": "string"},
      "l": {"type": "array", "items": {"type": "number"}},
      "o": {"type": "object", "properties": {"b": {"type": "boolean"}}},
      "e": {"enum": ["1", "2"]}}})");
  const std::string long_text(200, '7');
  const CallCase cases[] = {
      {"f{n:~42~,s:42}", "f", R"({"n":42,"s":"42"})"},
      {"f{l:[~1~,2,~x~,~3.5~]}", "f", R"({"l":[1,2,"x",3.5]})"},
      {"f{o:{b:~true~,c:~true~}}", "f", R"({"o":{"b":true,"c":"true"}})"},
      {"f{e:1,x:~42~}", "f", R"({"e":"1","x":"42"})"},
      {"f{s:{a:1}}", "f", R"({"s":{"a":1}})"},
  };
  for (const CallCase& c : cases) {
    for (const size_t piece : {1, 1000}) {
      EXPECT_EQ(Parse(c.text, piece, &schema).json, c.json) << c.text;
    }
  }
  // Too long to be a number: held no longer.
  EXPECT_EQ(Parse(absl::StrCat("f{n:~", long_text, "~}"), 7, &schema).json,
            absl::StrCat(R"({"n":")", long_text, "\"}"));
}

// Values written the way prompts have them (`~` for the delimiter), read back.
class RandomValues {
 public:
  explicit RandomValues(uint32_t seed) : random_(seed) {}
  Json Object(int depth) {
    Json object = Json::object();
    for (size_t i = Below(4); i > 0; --i) object[Text("abcdefgh -_.", 6)] = Value(depth - 1);
    object.erase("");
    return object;
  }
  size_t Below(size_t n) { return random_() % n; }

 private:
  std::string Text(absl::string_view letters, size_t max_size) {
    std::string text;
    for (size_t i = Below(max_size + 1); i > 0; --i) text.push_back(letters[Below(letters.size())]);
    return std::string(absl::StripAsciiWhitespace(text));
  }
  Json Value(int depth) {
    switch (Below(depth > 0 ? 8 : 6)) {
      case 0:
        return nullptr;
      case 1:
        return Below(2) == 0;
      case 2:
        return static_cast<int64_t>(random_()) - (int64_t{1} << 31);
      case 3:
        return static_cast<double>(random_()) / 1024 - 1e5;
      case 4:
      case 5:
        return Text("abc {}[]:,\"\\\n\t\x01<|>'", 12);
      case 6:
        return Object(depth);
      default: {
        Json list = Json::array();
        for (size_t i = Below(4); i > 0; --i) list.push_back(Value(depth - 1));
        return list;
      }
    }
  }
  std::mt19937 random_;
};

std::string Written(const Json& value) {
  if (value.is_string()) return absl::StrCat("~", value.get<std::string>(), "~");
  if (!value.is_structured()) return value.dump();
  std::vector<std::string> parts;
  for (const auto& [key, member] : value.items()) {
    parts.push_back(absl::StrCat(value.is_object() ? key + ":" : "", Written(member)));
  }
  return absl::StrCat(value.is_object() ? "{" : "[", absl::StrJoin(parts, ","),
                      value.is_object() ? "}" : "]");
}

TEST(CallParserTest, ReadsBackWhateverObjectsThePromptFormWrites) {
  RandomValues values(1);
  size_t bytes = 0;
  for (int run = 0; run < 3'000; ++run) {
    const Json object = values.Object(4);
    const Parsed call = Parse("call:f" + Written(object), 1 + values.Below(8));
    ASSERT_TRUE(call.complete) << object;
    ASSERT_EQ(call.json, object.dump());
    bytes += call.json.size();
  }
  EXPECT_GT(bytes, 50'000u);  // not all of them are empty
}

}  // namespace
}  // namespace facet
