#include "shard/step_plan_codec.h"

#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::HasSubstr;

constexpr int32_t kMaxInt32 = std::numeric_limits<int32_t>::max();

StepPlan SmallPlan() {
  StepPlan plan;
  plan.step = 12;
  SequenceStep decode;
  decode.sequence_id = 7;
  decode.start_position = 40;
  decode.tokens = {262143};
  decode.global_pages = {5, 6, 7};
  decode.sliding_pages = {-1, 3, 2};
  SequenceStep chunk;
  chunk.sequence_id = -9;
  chunk.tokens = {2, 0, 100, 99};
  chunk.logits_from = 4;
  chunk.global_pages = {1};
  chunk.sliding_pages = {0};
  chunk.soft_tokens = {OwnSoftTokens(1, 1, MediaKind::kVideo, DType::kF32, "12345678"),
                       OwnSoftTokens(2, 2, MediaKind::kImage, DType::kBF16, "abcdefgh")};
  plan.sequences = {decode, chunk};
  plan.global_copies = {{5, 9}, {300, 0}};
  plan.sliding_copies = {{2, 1}};
  return plan;
}

void ExpectEqual(const std::vector<PageCopy>& got, const std::vector<PageCopy>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(got[i].from, want[i].from);
    EXPECT_EQ(got[i].to, want[i].to);
  }
}

void ExpectEqual(const std::vector<SoftTokens>& got, const std::vector<SoftTokens>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(got[i].position, want[i].position);
    EXPECT_EQ(got[i].count, want[i].count);
    EXPECT_EQ(got[i].kind, want[i].kind);
    EXPECT_EQ(got[i].dtype, want[i].dtype);
    EXPECT_EQ(got[i].rows, want[i].rows);
  }
}

void ExpectEqual(const StepPlan& got, const StepPlan& want) {
  EXPECT_EQ(got.kind, want.kind);
  EXPECT_EQ(got.step, want.step);
  ExpectEqual(got.global_copies, want.global_copies);
  ExpectEqual(got.sliding_copies, want.sliding_copies);
  ASSERT_EQ(got.sequences.size(), want.sequences.size());
  for (size_t i = 0; i < want.sequences.size(); ++i) {
    EXPECT_EQ(got.sequences[i].sequence_id, want.sequences[i].sequence_id);
    EXPECT_EQ(got.sequences[i].start_position, want.sequences[i].start_position);
    EXPECT_EQ(got.sequences[i].tokens, want.sequences[i].tokens);
    EXPECT_EQ(got.sequences[i].logits_from, want.sequences[i].logits_from);
    EXPECT_EQ(got.sequences[i].global_pages, want.sequences[i].global_pages);
    EXPECT_EQ(got.sequences[i].sliding_pages, want.sequences[i].sliding_pages);
    ExpectEqual(got.sequences[i].soft_tokens, want.sequences[i].soft_tokens);
  }
}

void ExpectRoundTrip(const StepPlan& plan) {
  const auto decoded = DecodeStepPlan(EncodeStepPlan(plan));
  ASSERT_THAT(decoded, IsOk());
  ExpectEqual(*decoded, plan);
}

TEST(StepPlanCodec, KeepsAPlan) { ExpectRoundTrip(SmallPlan()); }

TEST(StepPlanCodec, KeepsPlansThatRunNothing) {
  for (auto kind : {StepPlan::Kind::kRun, StepPlan::Kind::kIdle, StepPlan::Kind::kStop}) {
    StepPlan plan;
    plan.kind = kind;
    plan.step = std::numeric_limits<int64_t>::max();
    ExpectRoundTrip(plan);
  }
}

TEST(StepPlanCodec, KeepsTheExtremes) {
  StepPlan plan;
  plan.step = std::numeric_limits<int64_t>::min();
  SequenceStep step;
  step.sequence_id = std::numeric_limits<int64_t>::min();
  step.start_position = kMaxInt32 - 3;
  step.tokens = {kMaxInt32, 0, kMaxInt32};
  step.logits_from = 3;
  step.global_pages = {kMaxInt32, -1, kMaxInt32};
  plan.sequences = {step, step};
  plan.sequences[1].sequence_id = std::numeric_limits<int64_t>::max();
  ExpectRoundTrip(plan);
}

TEST(StepPlanCodec, KeepsRandomPlans) {
  std::mt19937 random(3);
  const auto below = [&](int n) { return static_cast<int>(random() % n); };
  for (int round = 0; round < 500; ++round) {
    StepPlan plan;
    plan.step = round;
    plan.global_copies.resize(below(4));
    for (PageCopy& copy : plan.global_copies) copy = {below(100000), below(100000)};
    plan.sliding_copies.resize(below(4));
    for (PageCopy& copy : plan.sliding_copies) copy = {below(1000), below(1000)};
    plan.sequences.resize(below(6));
    for (SequenceStep& step : plan.sequences) {
      step.sequence_id = random();
      step.start_position = below(200000);
      step.tokens.resize(1 + below(50));
      for (int32_t& token : step.tokens) token = below(262144);
      step.logits_from = below(step.tokens.size() + 1);
      step.global_pages.resize(below(200));
      for (int32_t& page : step.global_pages) page = below(100000);
      step.sliding_pages.resize(below(200));
      for (int32_t& page : step.sliding_pages) page = below(1000) - 1;
      const int end = step.start_position + static_cast<int>(step.tokens.size());
      for (int place = step.start_position + below(20); place < end; place += below(9)) {
        const int count = 1 + below(end - place);
        step.soft_tokens.push_back(OwnSoftTokens(place, count, static_cast<MediaKind>(below(3)),
                                                 below(2) == 0 ? DType::kF32 : DType::kBF16,
                                                 std::string(12 * count, 'x')));
        place += count;
      }
    }
    ExpectRoundTrip(plan);
  }
}

// A decode of 8 sequences with 131072 tokens behind them must not cost a page id of 4 bytes each.
TEST(StepPlanCodec, IsCompactForLongContexts) {
  StepPlan plan;
  for (int s = 0; s < 8; ++s) {
    SequenceStep step;
    step.start_position = 131071;
    step.tokens = {1000};
    for (int block = 0; block < 8192; ++block) {
      step.global_pages.push_back(8 * block + s);  // eight that grew side by side
      step.sliding_pages.push_back(block < 8160 ? -1 : block % 40);
    }
    plan.sequences.push_back(step);
  }
  EXPECT_LE(EncodeStepPlan(plan).size(), 8 * (2 * 8192 + 64));
}

// The bytes are a contract between ranks: a change needs a new version number.
TEST(StepPlanCodec, HasTheDocumentedBytes) {
  StepPlan plan;
  plan.step = 300;
  SequenceStep step;
  step.sequence_id = -1;
  step.start_position = 2;
  step.tokens = {64, 63};
  step.logits_from = 1;
  step.global_pages = {4, 5};
  step.sliding_pages = {-1, 9};
  step.soft_tokens = {OwnSoftTokens(3, 1, MediaKind::kAudio, DType::kBF16, "\x07\x08")};
  plan.sequences = {step};
  plan.global_copies = {{1, 2}};
  plan.sliding_copies = {{3, 64}, {0, 5}};
  EXPECT_EQ(EncodeStepPlan(plan),
            (std::vector<uint8_t>{'F', 'P',  3,                  // header
                                  0,   0xd8, 0x04,               // kRun, step 300
                                  1,   2,    4,                  // copies of global pages
                                  2,   6,    0x80, 0x01, 0, 10,  // and of sliding ones
                                  1,                             // sequence
                                  1,   4,    2,                  // id -1, position 2, logits from 1
                                  2,   0x80, 0x01, 1,            // tokens 64, -1
                                  2,   8,    2,                  // pages 4, +1
                                  2,   1,    20,                 // pages -1, +10
                                  1,   1,    1,                  // soft tokens: 1 behind the first
                                  2,   1,    2,    7,    8}));   // audio, bf16, 2 bytes
}

TEST(StepPlanCodec, RefusesEveryTruncation) {
  const std::vector<uint8_t> bytes = EncodeStepPlan(SmallPlan());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THAT(DecodeStepPlan(absl::MakeConstSpan(bytes.data(), size)),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << size;
  }
}

TEST(StepPlanCodec, RefusesWhatFollowsThePlan) {
  std::vector<uint8_t> bytes = EncodeStepPlan(SmallPlan());
  bytes.push_back(0);
  EXPECT_THAT(DecodeStepPlan(bytes),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("after its end")));
}

struct LieCase {
  std::string name;
  std::vector<uint8_t> bytes;
  std::string message;
};
class StepPlanLieTest : public ::testing::TestWithParam<LieCase> {};

TEST_P(StepPlanLieTest, IsRefused) {
  EXPECT_THAT(DecodeStepPlan(GetParam().bytes),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
}
// A right one is: F P 3 | kind, step, no copies twice, count | id, position, logits from | tokens |
// pages | pages | count of runs, and of each gap, count, kind, type, bytes.
INSTANTIATE_TEST_SUITE_P(
    Lies, StepPlanLieTest,
    ::testing::ValuesIn(std::vector<LieCase>{
        {"magic", {'F', 'Q', 2, 0, 2, 0}, "does not start as one"},
        {"version", {'F', 'P', 2, 0, 2, 0}, "is of version 2, this program reads version 3"},
        {"kind", {'F', 'P', 3, 6, 2, 0}, "has kind 3, must be in [0, 2]"},
        {"negative_kind", {'F', 'P', 3, 1, 2, 0}, "has kind -1"},
        {"idle_with_sequences", {'F', 'P', 3, 2, 2, 0, 0, 1, 0, 0, 0, 1, 4, 0, 0}, "does not run"},
        {"sequence_count", {'F', 'P', 3, 0, 2, 0, 0, 9, 0, 0, 0}, "says 9 sequences where 3 bytes"},
        {"huge_count",
         {'F', 'P', 3, 0, 2, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x7f, 4, 0, 0},
         "tokens where 3 bytes"},
        {"number_without_end",
         {'F', 'P', 3, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0},
         "more than 64 bits"},
        {"no_tokens", {'F', 'P', 3, 0, 2, 0, 0, 1, 0, 0, 0, 0, 0, 0}, "without tokens"},
        {"negative_token", {'F', 'P', 3, 0, 2, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0}, "has tokens -1"},
        {"token_beyond_32_bits",
         {'F', 'P', 3, 0, 2, 0, 0, 1, 0, 0, 0, 1, 0x80, 0x80, 0x80, 0x80, 0x10, 0, 0},
         "has tokens 2147483648"},
        {"difference_beyond_33_bits",
         {'F', 'P', 3, 0, 2, 0, 0, 1, 0, 0, 0, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0, 0},
         "has tokens 274877906944"},
        {"difference_that_overflows",
         {'F',  'P',  3,    0,    2,    0,    0,    1,    0,    0,    0, 2, 2,
          0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0, 0},
         "has tokens 9223372036854775807"},
        {"negative_position",
         {'F', 'P', 3, 0, 2, 0, 0, 1, 0, 1, 0, 1, 4, 0, 0},
         "start_position -1"},
        {"logits_behind_the_tokens",
         {'F', 'P', 3, 0, 2, 0, 0, 1, 0, 0, 4, 1, 4, 0, 0},
         "has logits_from 2, must be in [0, 1]"},
        {"idle_with_copies", {'F', 'P', 3, 2, 2, 1, 2, 4, 0, 0}, "or copies but does not run"},
        {"copy_of_no_page", {'F', 'P', 3, 0, 2, 1, 1, 4, 0, 0}, "has global_copies -1"},
        {"copy_to_no_page", {'F', 'P', 3, 0, 2, 0, 1, 2, 1, 0}, "has sliding_copies -1"},
        {"half_a_copy", {'F', 'P', 3, 0, 2, 0, 1, 2}, "is cut off"},
        {"page", {'F', 'P', 3, 0, 2, 0, 0, 1, 0, 0, 0, 1, 4, 1, 3, 0}, "has global_pages -2"},
        {"soft_tokens_behind_the_step",
         {'F', 'P', 3, 0, 2, 0, 0, 1, 0, 0, 0, 1, 4, 0, 0, 1, 2, 1, 0, 0, 2, 7, 8},
         "gap before soft tokens 2, must be in [0, 1]"},
        {"too_many_soft_tokens",
         {'F', 'P', 3, 0, 2, 0, 0, 1, 0, 0, 0, 1, 4, 0, 0, 1, 0, 2, 0, 0, 2, 7, 8},
         "count of soft tokens 2, must be in [1, 1]"},
        {"no_soft_tokens",
         {'F', 'P', 3, 0, 2, 0, 0, 1, 0, 0, 0, 1, 4, 0, 0, 1, 0, 0, 0, 0, 2, 7, 8},
         "count of soft tokens 0"},
        {"kind_of_media",
         {'F', 'P', 3, 0, 2, 0, 0, 1, 0, 0, 0, 1, 4, 0, 0, 1, 0, 1, 3, 0, 2, 7, 8},
         "kind of media 3, must be in [0, 2]"},
        {"type_of_soft_tokens",
         {'F', 'P', 3, 0, 2, 0, 0, 1, 0, 0, 0, 1, 4, 0, 0, 1, 0, 1, 0, 2, 2, 7, 8},
         "type of soft tokens 2"},
        {"rows_cut_off",
         {'F', 'P', 3, 0, 2, 0, 0, 1, 0, 0, 0, 1, 4, 0, 0, 1, 0, 1, 0, 0, 3, 7, 8},
         "says 3 bytes of soft tokens where 2 bytes"},
        {"rows_of_unequal_sizes",
         {'F', 'P', 3, 0, 2, 0, 0, 1, 0, 0, 0, 2, 4, 0, 0, 0, 1, 0, 2, 0, 0, 3, 7, 8, 9},
         "has 3 bytes for 2 soft tokens"},
        {"no_rows",
         {'F', 'P', 3, 0, 2, 0, 0, 1, 0, 0, 0, 1, 4, 0, 0, 1, 0, 1, 0, 0, 0},
         "has 0 bytes for 1 soft tokens"},
        {"gap_beyond_63_bits",
         {'F',  'P',  3,    0,    2,    0,    0,    1,    0,    0,    0, 1, 4, 0, 0, 1,
          0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1, 0, 0, 2, 7, 8},
         "gap before soft tokens 18446744073709551615"},
    }),
    [](const auto& info) { return info.param.name; });

// Whatever the bytes, the answer is an error or a plan that can be encoded.
TEST(StepPlanCodec, SurvivesMutation) {
  std::mt19937 random(11);
  const std::vector<uint8_t> original = EncodeStepPlan(SmallPlan());
  int accepted = 0, refused = 0;
  for (int round = 0; round < 200000; ++round) {
    std::vector<uint8_t> bytes = original;
    for (int edits = 1 + random() % 4; edits > 0 && !bytes.empty(); --edits) {
      const size_t place = random() % bytes.size();
      switch (random() % 4) {
        case 0:
          bytes[place] ^= 1 << random() % 8;
          break;
        case 1:
          bytes[place] = random();
          break;
        case 2:
          bytes.erase(bytes.begin() + place);
          break;
        case 3:
          bytes.insert(bytes.begin() + place, random());
          break;
      }
    }
    const auto plan = DecodeStepPlan(bytes);
    (plan.ok() ? accepted : refused) += 1;
    if (plan.ok()) {
      ExpectRoundTrip(*plan);
      for (const SequenceStep& step : plan->sequences) {
        ASSERT_FALSE(step.tokens.empty());
        ASSERT_LE(step.logits_from, static_cast<int>(step.tokens.size()));
        ASSERT_GE(step.logits_from, 0);
      }
    }
  }
  EXPECT_GE(accepted, 1000);
  EXPECT_GE(refused, 1000);
}

TEST(StepPlanCodec, SurvivesNoise) {
  std::mt19937 random(12);
  for (int round = 0; round < 100000; ++round) {
    std::vector<uint8_t> bytes = {'F', 'P', 3, 0};
    bytes.resize(4 + random() % 60);
    for (size_t i = 4; i < bytes.size(); ++i)
      bytes[i] = random() % 3 == 0 ? random() : random() % 4;
    const auto plan = DecodeStepPlan(bytes);
    if (plan.ok()) ExpectRoundTrip(*plan);
  }
}

}  // namespace
}  // namespace facet
