#include "router/router.h"

#include <future>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router/testing/fake_shard_engine.h"
#include "router/testing/test_model.h"
#include "router/testing/wait_for.h"

namespace facet {
namespace {

using ::testing::ElementsAre;
using testing::FakeShardEngine;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;
using testing::WaitFor;

Router::Options OptionsFor(const std::string& address, bool with_tokenizer = true) {
  Router::Options options;
  options.model = testing::MakeTestModel(with_tokenizer);
  options.groups.fixed = {address};
  options.connection.probe_interval = absl::Milliseconds(10);
  options.log = [](const RequestRecord&) {};
  return options;
}

class RouterTest : public ::testing::Test {
 protected:
  void StartRouter(Router::Options options) {
    auto router = Router::Create(std::move(options), registry_, [](int, int) {});
    ASSERT_THAT(router, IsOk());
    router_ = *std::move(router);
  }

  // Runs a unary call to its end.
  absl::Status Call(std::function<absl::Status(const TextCalls&)> call) {
    std::promise<absl::Status> done;
    RequestContext context;
    context.arrival = absl::Now();
    router_->RunUnary("Test", context, /*has_media=*/false, std::move(call),
                      [&done](const absl::Status& status) { done.set_value(status); });
    return done.get_future().get();
  }

  template <typename Request, typename Response>
  absl::Status Ask(absl::Status (TextCalls::*method)(const Request&, Response*) const,
                   const Request& request, Response* response) {
    return Call([&](const TextCalls& calls) { return (calls.*method)(request, response); });
  }

  absl::Status Count(const v1::CountTokensRequest& request, v1::CountTokensResponse* response) {
    return Call([&](const TextCalls& calls) {
      return calls.CountTokens(request, RequestContext(), response);
    });
  }

  prometheus::Registry registry_;
  std::unique_ptr<Router> router_;
};

TEST_F(RouterTest, TokenizesAndDetokenizes) {
  StartRouter(OptionsFor("127.0.0.1:1"));
  v1::TokenizeRequest request;
  request.set_text("<bos>naïve 👍");
  v1::TokenizeResponse plain, parsed, with_bos;
  ASSERT_THAT(Ask(&TextCalls::Tokenize, request, &plain), IsOk());
  std::string joined;
  for (const std::string& piece : plain.pieces()) joined += piece;
  EXPECT_EQ(joined, "<bos>naïve 👍");  // byte tokens as their bytes
  EXPECT_EQ(plain.pieces_size(), plain.token_ids_size());

  request.set_parse_special(true);
  ASSERT_THAT(Ask(&TextCalls::Tokenize, request, &parsed), IsOk());
  EXPECT_LT(parsed.token_ids_size(), plain.token_ids_size());
  request.set_add_bos(true);
  ASSERT_THAT(Ask(&TextCalls::Tokenize, request, &with_bos), IsOk());
  EXPECT_EQ(with_bos.token_ids_size(), parsed.token_ids_size());  // it begins with one

  v1::DetokenizeRequest back;
  *back.mutable_token_ids() = parsed.token_ids();
  v1::DetokenizeResponse text;
  ASSERT_THAT(Ask(&TextCalls::Detokenize, back, &text), IsOk());
  EXPECT_EQ(text.text(), "naïve 👍");
  back.set_show_special(true);
  ASSERT_THAT(Ask(&TextCalls::Detokenize, back, &text), IsOk());
  EXPECT_EQ(text.text(), "<bos>naïve 👍");
}

TEST_F(RouterTest, TokenizesTheEmptyText) {
  StartRouter(OptionsFor("127.0.0.1:1"));
  v1::TokenizeResponse response;
  ASSERT_THAT(Ask(&TextCalls::Tokenize, v1::TokenizeRequest(), &response), IsOk());
  EXPECT_EQ(response.token_ids_size(), 0);
}

TEST_F(RouterTest, CountsWhatGenerateWouldCount) {
  StartRouter(OptionsFor("127.0.0.1:1"));
  v1::CountTokensRequest request;
  request.mutable_prompt()->set_text("hello there");
  v1::TokenizeRequest tokenize;
  tokenize.set_text("hello there");
  v1::CountTokensResponse count;
  v1::TokenizeResponse tokens;
  ASSERT_THAT(Count(request, &count), IsOk());
  ASSERT_THAT(Ask(&TextCalls::Tokenize, tokenize, &tokens), IsOk());
  EXPECT_EQ(count.prompt_tokens(), tokens.token_ids_size() + 1);  // and <bos>
  for (int i = 0; i < 500; ++i) request.mutable_prompt()->mutable_token_ids()->add_ids(5);
  ASSERT_THAT(Count(request, &count), IsOk());
  EXPECT_EQ(count.prompt_tokens(), 500);
}

TEST_F(RouterTest, TextCallsRefuseWhatTheyCannotDo) {
  StartRouter(OptionsFor("127.0.0.1:1"));
  v1::TokenizeRequest tokenize;
  tokenize.set_model("nope");
  v1::TokenizeResponse tokens;
  EXPECT_THAT(Ask(&TextCalls::Tokenize, tokenize, &tokens),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("test-model")));
  v1::DetokenizeRequest ids;
  ids.add_token_ids(1);
  ids.add_token_ids(1 << 30);
  v1::DetokenizeResponse text;
  EXPECT_THAT(Ask(&TextCalls::Detokenize, ids, &text),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("token_ids[1]")));
  v1::CountTokensResponse count;
  EXPECT_THAT(Count(v1::CountTokensRequest(), &count),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("prompt")));
}

TEST_F(RouterTest, WithoutTokenizerTextIsRefused) {
  StartRouter(OptionsFor("127.0.0.1:1", /*with_tokenizer=*/false));
  v1::TokenizeRequest tokenize;
  tokenize.set_text("x");
  v1::TokenizeResponse tokens;
  EXPECT_THAT(Ask(&TextCalls::Tokenize, tokenize, &tokens),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("tokenizer.json")));
  v1::DetokenizeRequest ids;
  ids.add_token_ids(1);
  v1::DetokenizeResponse text;
  EXPECT_THAT(Ask(&TextCalls::Detokenize, ids, &text),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("tokenizer.json")));
  EXPECT_FALSE(router_->Describe().has_tokenizer());
}

TEST_F(RouterTest, DescribesItsModel) {
  const auto model = testing::MakeTestModel();
  FakeShardEngine engine(*model);
  StartRouter(OptionsFor(engine.address()));
  ASSERT_TRUE(WaitFor([&] { return router_->Describe().ready_groups() == 1; }));
  const v1::Model description = router_->Describe();
  EXPECT_EQ(description.name(), "test-model");
  EXPECT_EQ(description.architecture(), "gemma4_text");
  EXPECT_EQ(description.vocab_size(), model->vocab_size());
  EXPECT_EQ(description.context_length(), testing::kTestContextLength);
  EXPECT_TRUE(description.has_tokenizer());
  EXPECT_THAT(description.modalities(), ElementsAre("text"));
  EXPECT_EQ(description.total_groups(), 1);
}

TEST_F(RouterTest, ACallWhoseDeadlinePassedIsNotRun) {
  StartRouter(OptionsFor("127.0.0.1:1"));
  std::promise<absl::Status> done;
  RequestContext context;
  context.arrival = absl::Now();
  context.deadline = absl::Now() - absl::Seconds(1);
  router_->RunUnary(
      "Test", context, /*has_media=*/false, [](const TextCalls&) { return absl::OkStatus(); },
      [&done](const absl::Status& status) { done.set_value(status); });
  EXPECT_THAT(done.get_future().get(), StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST(RouterOptionsTest, NamesTheOptionThatIsWrong) {
  prometheus::Registry registry;
  const auto create = [&registry](std::function<void(Router::Options&)> change) {
    Router::Options options = OptionsFor("127.0.0.1:1");
    change(options);
    return Router::Create(std::move(options), registry, [](int, int) {}).status();
  };
  const auto refused = [](const std::string& name) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(name));
  };
  EXPECT_THAT(create([](auto& o) { o.model.reset(); }), refused("model"));
  EXPECT_THAT(create([](auto& o) { o.groups.fixed.clear(); }), refused("groups"));
  EXPECT_THAT(create([](auto& o) { o.max_requests = 0; }), refused("max_requests"));
  EXPECT_THAT(create([](auto& o) { o.tokenizer_threads = 0; }), refused("tokenizer_threads"));
  EXPECT_THAT(create([](auto& o) { o.limits.max_prompt_bytes = 0; }), refused("max_prompt_bytes"));
  EXPECT_THAT(create([](auto& o) { o.wait_for_group = -absl::Seconds(1); }),
              refused("wait_for_group"));
  EXPECT_THAT(create([](auto& o) { o.connection.probe_timeout = absl::ZeroDuration(); }),
              refused("probe_timeout"));
  EXPECT_THAT(create([](auto& o) { o.stream_interval = absl::Seconds(2); }),
              refused("stream_interval"));
  EXPECT_THAT(create([](auto& o) {
                o.stream_interval = absl::Milliseconds(40);
                o.max_read_pause = absl::Milliseconds(40);
              }),
              refused("stream_interval"));
}

}  // namespace
}  // namespace facet
