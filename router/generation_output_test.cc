#include "router/generation_output.h"

#include <map>
#include <optional>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router/testing/test_model.h"

namespace facet {
namespace {

class GenerationOutputTest : public ::testing::Test {
 protected:
  static GenerationOutput::Tokens Tokens(const std::vector<int32_t>& ids, int top = 0) {
    GenerationOutput::Tokens tokens;
    for (const int32_t id : ids) {
      internal::TokenOutput* token = tokens.Add();
      token->set_token_id(id);
      for (int i = 0; i < top; ++i) {
        token->add_top_ids(id + i);
        token->add_top_logprobs(-1.0f - static_cast<float>(i));
      }
    }
    return tokens;
  }

  GenerationOutput Make() {
    v1::StreamStart start;
    start.set_request_id("r");
    start.set_prompt_tokens(7);
    return GenerationOutput(model_.get(), spec_, start);
  }

  // Everything that there is to read.
  static std::vector<v1::GenerateResponse> TakeAll(GenerationOutput& output) {
    std::vector<v1::GenerateResponse> all;
    v1::GenerateResponse message;
    while (output.Take(&message)) all.push_back(message);
    return all;
  }

  std::unique_ptr<ServedModel> model_ = testing::MakeTestModel(/*with_tokenizer=*/false);
  GenerationSpec spec_;
};

TEST_F(GenerationOutputTest, WhatWaitsIsMergedInOrder) {
  GenerationOutput output = Make();
  output.Started(3);
  output.Push(0, Tokens({1, 2}));
  output.Push(0, Tokens({3}));
  EXPECT_EQ(output.pending_tokens(), 3);
  output.End(0, v1::LENGTH);
  output.Close(v1::Timings());
  const auto all = TakeAll(output);
  ASSERT_EQ(all.size(), 3u);  // one completion has no end of its own
  EXPECT_EQ(all[0].start().cached_tokens(), 3);
  EXPECT_EQ(all[1].delta().token_ids_size(), 3);
  EXPECT_EQ(all[2].end().finish_reason(), v1::LENGTH);
  EXPECT_EQ(all[2].end().usage().cached_tokens(), 3);
  EXPECT_EQ(output.pending_tokens(), 0);
}

TEST_F(GenerationOutputTest, MoreSaysWhetherThereIsAMessage) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    spec_.n = 1 + static_cast<int>(random() % 3);
    spec_.prompt_logprobs = random() % 2 == 0 ? std::optional<int>(1) : std::nullopt;
    GenerationOutput output = Make();
    v1::GenerateResponse message;
    const auto take_some = [&](uint32_t most) {
      for (uint32_t i = 0; i < most; ++i) {
        const bool more = output.more();
        ASSERT_EQ(output.Take(&message), more);
      }
    };
    take_some(1);
    output.Started(0);
    take_some(random() % 3);
    if (spec_.prompt_logprobs.has_value()) output.AddPrompt(Tokens({1, 2}, 2));
    for (int i = 0; i < spec_.n; ++i) {
      take_some(random() % 3);
      if (random() % 4 > 0) output.Push(i, Tokens({1, 2}));
      take_some(random() % 3);
      output.End(i, v1::LENGTH);
      if (output.all_ended()) output.Close(v1::Timings());
    }
    take_some(10);
    ASSERT_FALSE(output.more());
  }
}

TEST_F(GenerationOutputTest, ALongPromptTakesSeveralMessagesBeforeTheFirstDelta) {
  spec_.prompt_logprobs = 2;
  GenerationOutput output = Make();
  output.Started(0);
  std::vector<int32_t> ids(GenerationOutput::kPromptTokensPerMessage + 5);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i);
  output.AddPrompt(Tokens({ids.begin(), ids.begin() + 3}, 4));
  output.AddPrompt(Tokens({ids.begin() + 3, ids.end()}, 4));
  output.Push(0, Tokens({1}));
  EXPECT_EQ(output.pending_prompt_tokens(), static_cast<int>(ids.size()));
  const auto all = TakeAll(output);
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[1].prompt_logprobs().first_position(), 1);
  EXPECT_EQ(all[1].prompt_logprobs().tokens_size(), GenerationOutput::kPromptTokensPerMessage);
  EXPECT_EQ(all[1].prompt_logprobs().tokens(3).token_id(), 3);
  EXPECT_EQ(all[1].prompt_logprobs().tokens(3).top_size(), 2);
  EXPECT_EQ(all[2].prompt_logprobs().first_position(),
            1 + GenerationOutput::kPromptTokensPerMessage);
  EXPECT_EQ(all[2].prompt_logprobs().tokens_size(), 5);
  EXPECT_TRUE(all[3].has_delta());
}

TEST_F(GenerationOutputTest, ASecondStartIsNotToldToWhoeverHasReadTheFirst) {
  GenerationOutput output = Make();
  output.Started(3);
  EXPECT_EQ(TakeAll(output).size(), 1u);
  output.Started(5);
  EXPECT_TRUE(TakeAll(output).empty());
  EXPECT_EQ(output.cached_tokens(), 5);
}

TEST_F(GenerationOutputTest, DroppedOutputIsNotRead) {
  spec_.n = 2;
  GenerationOutput output = Make();
  output.Started(0);
  output.AddPrompt(Tokens({1}));
  output.Push(1, Tokens({1}));
  output.End(1, v1::STOP);
  EXPECT_FALSE(output.all_ended());
  output.Drop();
  EXPECT_TRUE(TakeAll(output).empty());
  EXPECT_EQ(output.completion_tokens(), 1);
}

// However tokens and reads are interleaved: each completion reads its own tokens in order, then its
// end; the end of all is the last message.
TEST_F(GenerationOutputTest, CompletionsKeepApartWhateverTheOrder) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    spec_.n = 2 + static_cast<int>(random() % 5);
    GenerationOutput output = Make();
    output.Started(0);
    std::map<int, std::vector<int32_t>> want, got;
    std::map<int, int> ends;
    std::vector<v1::GenerateResponse> all;
    while (!output.all_ended()) {
      const int index = static_cast<int>(random() % static_cast<unsigned>(spec_.n));
      if (!output.ended(index)) {
        std::vector<int32_t> ids;
        for (size_t i = 0, n = random() % 4; i < n; ++i) {
          ids.push_back(static_cast<int32_t>(random() % 100));
        }
        want[index].insert(want[index].end(), ids.begin(), ids.end());
        EXPECT_FALSE(output.Push(index, Tokens(ids)));
        if (random() % 8 == 0) output.End(index, v1::LENGTH);
      }
      v1::GenerateResponse message;
      if (random() % 2 && output.Take(&message)) all.push_back(message);
    }
    output.Close(v1::Timings());
    for (const auto& message : TakeAll(output)) all.push_back(message);
    for (const auto& message : all) {
      if (message.has_sequence_end()) ++ends[message.sequence_end().index()];
      if (!message.has_delta()) continue;
      const int index = message.delta().index();
      ASSERT_EQ(ends[index], 0);
      ASSERT_GT(message.delta().token_ids_size(), 0);
      got[index].insert(got[index].end(), message.delta().token_ids().begin(),
                        message.delta().token_ids().end());
    }
    for (int index = 0; index < spec_.n; ++index) {
      ASSERT_EQ(got[index], want[index]);
      ASSERT_EQ(ends[index], 1);
    }
    ASSERT_TRUE(all.back().has_end());
    ASSERT_EQ(all.back().end().usage().completion_tokens(), output.completion_tokens());
  }
}

}  // namespace
}  // namespace facet
