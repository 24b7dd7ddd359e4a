#include "model/tokenizer/settings.h"

#include <string>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::HasSubstr;
using Json = nlohmann::json;

const char kSpaceMark[] = "\u2581";

// A Gemma-like file, some members of it replaced.
Json File(const std::string& patch = "{}") {
  Json file = Json::parse(R"({
    "added_tokens": [{"id": 2, "content": "<bos>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
    "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
    "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false},
    "post_processor": null,
    "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]},
    "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null, "end_of_word_suffix": null,
              "fuse_unk": true, "byte_fallback": true, "ignore_merges": false}})");
  file.merge_patch(Json::parse(patch));
  return file;
}

TEST(TokenizerSettingsTest, ReadsAFileOfTheGemmaFamily) {
  const auto settings = ParseTokenizerSettings(File());
  ASSERT_THAT(settings, IsOk());
  ASSERT_EQ(settings->normalizer.size(), 1u);
  EXPECT_EQ(settings->normalizer[0].from, " ");
  EXPECT_EQ(settings->normalizer[0].to, kSpaceMark);
  ASSERT_EQ(settings->decoder.size(), 1u);
  EXPECT_EQ(settings->decoder[0].from, kSpaceMark);
  ASSERT_EQ(settings->added_tokens.size(), 1u);
  EXPECT_EQ(settings->added_tokens[0].id, 2);
  EXPECT_EQ(settings->added_tokens[0].content, "<bos>");
  EXPECT_TRUE(settings->added_tokens[0].special);
  EXPECT_FALSE(settings->added_tokens[0].normalized);
  EXPECT_TRUE(settings->byte_fallback);
  EXPECT_TRUE(settings->fuse_unk);
  EXPECT_EQ(settings->unk_token, "<unk>");
  EXPECT_FALSE(settings->adds_bos);
}

TEST(TokenizerSettingsTest, TheLeastFileThereIs) {
  const auto settings = ParseTokenizerSettings(Json::parse(R"({"model": {"type": "BPE"}})"));
  ASSERT_THAT(settings, IsOk());
  EXPECT_TRUE(settings->normalizer.empty() && settings->decoder.empty() &&
              settings->added_tokens.empty());
  EXPECT_FALSE(settings->byte_fallback || settings->fuse_unk || settings->unk_token.has_value());
}

TEST(TokenizerSettingsTest, SequencesAreTakenApart) {
  const auto settings = ParseTokenizerSettings(File(R"({
    "normalizer": {"type": "Sequence", "pattern": null, "content": null, "normalizers": [
        {"type": "Replace", "pattern": {"String": "a"}, "content": " "},
        {"type": "Sequence", "normalizers": [{"type": "Replace", "pattern": {"String": " "}, "content": "_"}]}]},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"String": " "}, "behavior": "Isolated", "invert": false}]},
    "post_processor": {"type": "Sequence", "processors": [{"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<bos>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]}]},
    "decoder": null})"));
  ASSERT_THAT(settings, IsOk());
  EXPECT_EQ(ApplyReplacements(settings->normalizer, "cab c"), "c_b_c");
  EXPECT_TRUE(settings->adds_bos);
  EXPECT_EQ(ApplyReplacements(settings->decoder, "c_b"), "cab") << "the normaliser backwards";
}

TEST(TokenizerSettingsTest, ATemplateThatOnlyAppendsAddsNoBos) {
  const auto settings =
      ParseTokenizerSettings(File(R"({"post_processor": {"type": "TemplateProcessing",
      "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<eos>", "type_id": 0}}]}})"));
  ASSERT_THAT(settings, IsOk());
  EXPECT_FALSE(settings->adds_bos);
}

struct BadCase {
  std::string name;
  std::string patch;
  absl::StatusCode code;
  std::string message;
};
class BadTokenizerSettingsTest : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadTokenizerSettingsTest, IsRefusedByName) {
  EXPECT_THAT(ParseTokenizerSettings(File(GetParam().patch)),
              StatusIs(GetParam().code, HasSubstr(GetParam().message)));
}

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnsupported = absl::StatusCode::kUnimplemented;

std::string Token(const std::string& members) {
  return R"({"added_tokens": [{"id": 0, "content": "<pad>"}, {"id": 1, "content": "<x>", )" +
         members + "}]}";
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BadTokenizerSettingsTest,
    ::testing::ValuesIn(std::vector<BadCase>{
        {"no_model", R"({"model": null})", kInvalid, "model is not an object"},
        {"model_without_type", R"({"model": {"type": null}})", kInvalid,
         "model.type is not a string"},
        {"unigram", R"({"model": {"type": "Unigram"}})", kUnsupported, "model is of type Unigram"},
        {"dropout", R"({"model": {"dropout": 0.1}})", kUnsupported, "model.dropout"},
        {"ignore_merges", R"({"model": {"ignore_merges": true}})", kUnsupported,
         "model.ignore_merges"},
        {"prefix", R"({"model": {"continuing_subword_prefix": "##"}})", kUnsupported,
         "model.continuing_subword_prefix"},
        {"suffix", R"({"model": {"end_of_word_suffix": "</w>"}})", kUnsupported,
         "model.end_of_word_suffix"},
        {"number_as_flag", R"({"model": {"byte_fallback": 1}})", kInvalid,
         "model.byte_fallback is not true or false"},
        {"number_as_unk", R"({"model": {"unk_token": 3}})", kInvalid,
         "model.unk_token is not a string"},
        {"nfkc", R"({"normalizer": {"type": "NFKC"}})", kUnsupported, "normalizer is of type NFKC"},
        {"nfkc_in_sequence",
         R"({"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}]}})", kUnsupported,
         "normalizer is of type NFKC"},
        {"sequence_of_nothing", R"({"normalizer": {"type": "Sequence"}})", kInvalid,
         "normalizer.normalizers is not an array"},
        {"normalizer_regex", R"({"normalizer": {"pattern": {"String": null, "Regex": "\\s"}}})",
         kUnsupported, "normalizer.pattern is a Regex"},
        {"normalizer_empty_pattern", R"({"normalizer": {"pattern": {"String": ""}}})", kInvalid,
         "normalizer.pattern is empty"},
        {"normalizer_no_content", R"({"normalizer": {"content": null}})", kInvalid,
         "normalizer.content is not a string"},
        {"normalizer_long_content",
         R"({"normalizer": {"content": "0123456789012345678901234567890123456789"}})", kInvalid,
         "normalizer.content is 40 bytes long; the limit is 32"},
        {"normalizer_text", R"({"normalizer": "Replace"})", kInvalid,
         "normalizer is not an object"},
        {"byte_level", R"({"pre_tokenizer": {"type": "ByteLevel"}})", kUnsupported,
         "pre_tokenizer is of type ByteLevel"},
        {"split_on_comma", R"({"pre_tokenizer": {"pattern": {"String": ","}}})", kUnsupported,
         "pre_tokenizer splits on \",\""},
        {"split_inverted", R"({"pre_tokenizer": {"invert": true}})", kUnsupported,
         "pre_tokenizer splits on"},
        {"split_on_spaces_that_stay", R"({"normalizer": null})", kUnsupported,
         "pre_tokenizer splits on \" \""},
        {"split_on_spaces_written_later",
         R"({"normalizer": {"type": "Sequence", "normalizers": [{"type": "Replace", "pattern": {"String": " "}, "content": "_"},
             {"type": "Replace", "pattern": {"String": "x"}, "content": " "}]}})",
         kUnsupported, "pre_tokenizer splits on \" \""},
        {"split_regex", R"({"pre_tokenizer": {"pattern": {"String": null, "Regex": "\\d"}}})",
         kUnsupported, "pre_tokenizer.pattern is a Regex"},
        {"bert_processor", R"({"post_processor": {"type": "BertProcessing"}})", kUnsupported,
         "post_processor is of type BertProcessing"},
        {"template_of_nothing", R"({"post_processor": {"type": "TemplateProcessing"}})", kInvalid,
         "post_processor.single is not an array"},
        {"strip_decoder", R"({"decoder": {"type": "Sequence", "decoders": [{"type": "Strip"}]}})",
         kUnsupported, "decoder is of type Strip"},
        {"added_tokens_object", R"({"added_tokens": {"a": 1}})", kInvalid,
         "added_tokens is not an array"},
        {"added_token_text", R"({"added_tokens": ["<pad>"]})", kInvalid,
         "added_tokens[0] is not an object"},
        {"added_token_without_id", R"({"added_tokens": [{"content": "<pad>"}]})", kInvalid,
         "added_tokens[0].id"},
        {"added_token_negative_id", R"({"added_tokens": [{"id": -1, "content": "<pad>"}]})",
         kInvalid, "added_tokens[0].id"},
        {"added_token_huge_id", R"({"added_tokens": [{"id": 4294967296, "content": "<pad>"}]})",
         kInvalid, "added_tokens[0].id"},
        {"added_token_empty", R"({"added_tokens": [{"id": 0, "content": ""}]})", kInvalid,
         "added_tokens[0].content is empty"},
        {"added_token_lstrip", Token(R"("lstrip": true)"), kUnsupported, "added_tokens[1].lstrip"},
        {"added_token_rstrip", Token(R"("rstrip": true)"), kUnsupported, "added_tokens[1].rstrip"},
        {"added_token_single_word", Token(R"("single_word": true)"), kUnsupported,
         "added_tokens[1].single_word"},
        {"added_token_special_text", Token(R"("special": "yes")"), kInvalid,
         "added_tokens[1].special"},
        {"normalized_token_with_a_space",
         R"({"added_tokens": [{"id": 0, "content": "a b", "normalized": true}]})", kUnsupported,
         "added_tokens[0] is matched after"},
        {"normalized_token_with_the_mark",
         R"({"added_tokens": [{"id": 0, "content": "\u2581", "normalized": true}]})", kUnsupported,
         "added_tokens[0] is matched after"},
        {"normalized_token_beside_a_deletion",
         R"({"normalizer": {"content": ""}, "added_tokens": [{"id": 0, "content": "ab", "normalized": true}]})",
         kUnsupported, "added_tokens[0] is matched after"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(TokenizerSettingsTest, ANormalizedTokenMayShareBytesWithTheNormalizer) {
  // U+3041 is E3 81 81, U+2581 E2 96 81.
  EXPECT_THAT(ParseTokenizerSettings(File(
                  R"({"added_tokens": [{"id": 0, "content": "\u3041", "normalized": true}]})")),
              IsOk());
}

}  // namespace
}  // namespace facet
