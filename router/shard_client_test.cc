#include "router/shard_client.h"

#include <atomic>
#include <optional>

#include "absl/strings/match.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router/testing/fake_shard_engine.h"
#include "router/testing/test_model.h"
#include "router/testing/wait_for.h"

namespace facet {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::FakeShardEngine;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::StatusIs;
using testing::WaitFor;

// Keeps what it hears.
class Recorder : public ShardSink {
 public:
  void OnOutput(const internal::SequenceOutput& output) override {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& token : output.tokens()) tokens_.push_back(token.token_id());
    if (output.has_finish()) finish_ = output.finish().reason();
  }
  void OnLost(const absl::Status& reason) override {
    std::lock_guard<std::mutex> lock(mutex_);
    lost_ = reason;
  }

  std::vector<int32_t> tokens() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return tokens_;
  }
  bool finished() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return finish_.has_value();
  }
  std::optional<absl::Status> lost() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return lost_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<int32_t> tokens_;
  std::optional<internal::Finish::Reason> finish_;
  std::optional<absl::Status> lost_;
};

class ShardClientTest : public ::testing::Test {
 protected:
  ShardClient::Options OptionsFor(const FakeShardEngine& engine) {
    ShardClient::Options options;
    options.address = engine.address();
    options.expected = {model_->config.model_type, model_->vocab_size(), "print"};
    options.probe_interval = absl::Milliseconds(10);
    options.probe_timeout = absl::Milliseconds(500);
    options.min_backoff = absl::Milliseconds(5);
    options.max_backoff = absl::Milliseconds(50);
    return options;
  }

  std::unique_ptr<ShardClient> Connect(const FakeShardEngine& engine) {
    auto client = std::make_unique<ShardClient>(OptionsFor(engine), [this] { ++changes_; });
    EXPECT_TRUE(WaitFor([&] { return client->ready(); })) << client->status();
    return client;
  }

  static internal::SubmitRequest Request(int prompt_tokens) {
    internal::SubmitRequest request;
    for (int i = 0; i < prompt_tokens; ++i) request.add_prompt(i);
    request.mutable_stopping()->set_max_tokens(3);
    return request;
  }

  static std::unique_ptr<ServedModel> Model() {
    auto model = testing::MakeTestModel(/*with_tokenizer=*/false);
    model->fingerprint = "print";
    return model;
  }

  std::unique_ptr<ServedModel> model_ = Model();
  std::atomic<int> changes_{0};
};

TEST_F(ShardClientTest, ConnectsAndSaysWhatTheGroupServes) {
  FakeShardEngine engine(*model_);
  const auto client = Connect(engine);
  EXPECT_EQ(client->info()->vocab_size(), 300);
  EXPECT_THAT(client->status(), IsOk());
  EXPECT_TRUE(WaitFor([&] { return changes_ >= 1; }));
}

TEST_F(ShardClientTest, CarriesManyRequestsOnOneStream) {
  FakeShardEngine engine(*model_);
  const auto client = Connect(engine);
  std::vector<std::shared_ptr<Recorder>> sinks;
  std::vector<uint64_t> ids;
  for (int i = 0; i < 50; ++i) {
    sinks.push_back(std::make_shared<Recorder>());
    const auto id = client->Submit(Request(i + 1), sinks.back());
    ASSERT_THAT(id, IsOk());
    ids.push_back(*id);
  }
  const auto submits = engine.WaitForSubmits(50);
  ASSERT_EQ(submits.size(), 50u);
  EXPECT_EQ(client->load(), 50 * 51 / 2);
  // One message with outputs of all of them, as a step gives.
  internal::EngineFrame frame;
  for (size_t i = 0; i < ids.size(); ++i) {
    internal::SequenceOutput* output = frame.add_outputs();
    output->set_id(ids[i]);
    output->add_tokens()->set_token_id(static_cast<int32_t>(i));
  }
  engine.SendFrame(frame);
  for (size_t i = 0; i < ids.size(); ++i) {
    EXPECT_TRUE(WaitFor([&] { return !sinks[i]->tokens().empty(); }));
    EXPECT_THAT(sinks[i]->tokens(), ElementsAre(static_cast<int32_t>(i)));
  }
  EXPECT_EQ(client->load(), 50 * 51 / 2 + 50);
  for (const uint64_t id : ids) engine.Send(id, {7}, internal::Finish::LENGTH);
  EXPECT_TRUE(WaitFor([&] { return client->requests() == 0; }));
  EXPECT_EQ(client->load(), 0);
  EXPECT_TRUE(WaitFor([&] { return sinks.back()->finished(); }));
  EXPECT_EQ(engine.streams_opened(), 1);
}

TEST_F(ShardClientTest, ARequestLargerThanTheGroupTakesIsRefusedAndTheOthersStay) {
  FakeShardEngine engine(*model_);
  internal::EngineInfo info = engine.info();
  info.set_max_request_bytes(1000);
  engine.SetInfo(info);
  const auto client = Connect(engine);
  ASSERT_THAT(client->Submit(Request(10), std::make_shared<Recorder>()), IsOk());
  internal::SubmitRequest large = Request(10);
  large.add_media()->set_rows(std::string(1000, 'r'));
  EXPECT_EQ(client->Submit(large, std::make_shared<Recorder>()).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client->requests(), 1);
  EXPECT_THAT(client->status(), IsOk());
}

TEST_F(ShardClientTest, ACancelledRequestHearsNothingMore) {
  FakeShardEngine engine(*model_);
  const auto client = Connect(engine);
  const auto gone = std::make_shared<Recorder>();
  const auto stays = std::make_shared<Recorder>();
  const uint64_t gone_id = *client->Submit(Request(4), gone);
  const uint64_t stays_id = *client->Submit(Request(2), stays);
  engine.WaitForSubmits(2);
  client->Cancel(gone_id);
  client->Cancel(gone_id);  // no effect
  client->Cancel(12345);
  EXPECT_THAT(engine.WaitForCancels(1), ElementsAre(gone_id));
  EXPECT_EQ(client->load(), 2);
  engine.Send(gone_id, {1, 2});
  engine.Send(stays_id, {3}, internal::Finish::STOP);
  EXPECT_TRUE(WaitFor([&] { return stays->finished(); }));
  EXPECT_THAT(gone->tokens(), IsEmpty());
}

TEST_F(ShardClientTest, ALostStreamFailsItsRequestsAndIsOpenedAnew) {
  FakeShardEngine engine(*model_);
  const auto client = Connect(engine);
  const auto sink = std::make_shared<Recorder>();
  ASSERT_THAT(client->Submit(Request(4), sink), IsOk());
  engine.WaitForSubmits(1);
  engine.CutStreams();
  ASSERT_TRUE(WaitFor([&] { return sink->lost().has_value(); }));
  EXPECT_THAT(*sink->lost(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr(engine.address())));
  EXPECT_EQ(client->load(), 0);
  EXPECT_TRUE(WaitFor([&] { return client->ready() && engine.streams_opened() == 2; }));
  const auto again = std::make_shared<Recorder>();
  const auto id = client->Submit(Request(1), again);
  ASSERT_THAT(id, IsOk());
  engine.WaitForSubmits(2);
  engine.Send(*id, {9}, internal::Finish::LENGTH);
  EXPECT_TRUE(WaitFor([&] { return again->finished(); }));
}

TEST_F(ShardClientTest, AProcessThatIsGoneFailsItsRequests) {
  auto engine = std::make_unique<FakeShardEngine>(*model_);
  const auto client = Connect(*engine);
  const auto sink = std::make_shared<Recorder>();
  ASSERT_THAT(client->Submit(Request(4), sink), IsOk());
  engine.reset();
  EXPECT_TRUE(WaitFor([&] { return sink->lost().has_value() && !client->ready(); }));
  EXPECT_THAT(client->Submit(Request(1), sink), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ShardClientTest, AProcessThatHangsIsLostAfterTheProbeTimeout) {
  FakeShardEngine engine(*model_);
  const auto client = Connect(engine);
  const auto sink = std::make_shared<Recorder>();
  ASSERT_THAT(client->Submit(Request(4), sink), IsOk());
  engine.SetHanging(true);
  ASSERT_TRUE(WaitFor([&] { return sink->lost().has_value(); }));
  EXPECT_THAT(*sink->lost(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("500ms")));
  EXPECT_FALSE(client->ready());
  engine.SetHanging(false);
  EXPECT_TRUE(WaitFor([&] { return client->ready(); }));
}

TEST_F(ShardClientTest, ADrainingGroupGetsNothingNewAndFinishesItsOwn) {
  FakeShardEngine engine(*model_);
  const auto client = Connect(engine);
  const auto sink = std::make_shared<Recorder>();
  const uint64_t id = *client->Submit(Request(4), sink);
  engine.WaitForSubmits(1);
  engine.SetServing(false);
  ASSERT_TRUE(WaitFor([&] { return !client->ready(); }));
  EXPECT_THAT(client->Submit(Request(1), sink), StatusIs(absl::StatusCode::kUnavailable));
  engine.Send(id, {5}, internal::Finish::LENGTH);
  EXPECT_TRUE(WaitFor([&] { return sink->finished(); }));
  EXPECT_EQ(sink->lost(), std::nullopt);
  engine.SetServing(true);
  EXPECT_TRUE(WaitFor([&] { return client->ready(); }));
  EXPECT_EQ(engine.streams_opened(), 1);
}

TEST_F(ShardClientTest, IsReadyWhenTheGroupHasLoaded) {
  FakeShardEngine engine(*model_);
  engine.SetServing(false);
  ShardClient client(OptionsFor(engine), [] {});
  EXPECT_TRUE(WaitFor([&] { return absl::StrContains(client.status().message(), "loading"); }));
  EXPECT_EQ(engine.streams_opened(), 0);
  engine.SetServing(true);
  EXPECT_TRUE(WaitFor([&] { return client.ready(); }));
}

struct Mismatch {
  std::string name;
  std::function<void(internal::EngineInfo&)> change;
  std::string what;
};
class MismatchTest : public ShardClientTest, public ::testing::WithParamInterface<Mismatch> {};

TEST_P(MismatchTest, AGroupThatServesAnotherModelIsRefused) {
  FakeShardEngine engine(*model_);
  internal::EngineInfo info = engine.info();
  const internal::EngineInfo right = info;
  GetParam().change(info);
  engine.SetInfo(info);
  ShardClient client(OptionsFor(engine), [] {});
  EXPECT_TRUE(WaitFor([&] {
    return absl::StrContains(client.status().message(), GetParam().what);
  })) << client.status();
  EXPECT_FALSE(client.ready());
  EXPECT_EQ(engine.streams_opened(), 0);
  engine.SetInfo(right);  // the group was started anew
  EXPECT_TRUE(WaitFor([&] { return client.ready(); }));
}

INSTANTIATE_TEST_SUITE_P(
    Infos, MismatchTest,
    ::testing::ValuesIn(std::vector<Mismatch>{
        {"vocabulary", [](internal::EngineInfo& i) { i.set_vocab_size(299); }, "vocab_size is 299"},
        {"model_type", [](internal::EngineInfo& i) { i.set_model_type("x"); }, "model_type is x"},
        {"fingerprint", [](internal::EngineInfo& i) { i.set_fingerprint("other"); }, "fingerprint"},
        {"no_context", [](internal::EngineInfo& i) { i.set_context_length(0); }, "context length"},
    }),
    [](const auto& info) { return info.param.name; });

TEST_F(ShardClientTest, AnUnknownFingerprintIsNotCompared) {
  FakeShardEngine engine(*model_);
  ShardClient::Options options = OptionsFor(engine);
  options.expected.fingerprint.clear();
  ShardClient client(options, [] {});
  EXPECT_TRUE(WaitFor([&] { return client.ready(); }));
}

TEST_F(ShardClientTest, EndsQuicklyWhateverTheGroupDoes) {
  FakeShardEngine engine(*model_);
  const auto sink = std::make_shared<Recorder>();
  {
    const auto client = Connect(engine);
    ASSERT_THAT(client->Submit(Request(1), sink), IsOk());
    engine.SetHanging(true);
  }
  EXPECT_TRUE(sink->lost().has_value());
  ShardClient::Options nobody = OptionsFor(engine);
  nobody.address = "127.0.0.1:1";
  ShardClient client(nobody, [] {});
}

}  // namespace
}  // namespace facet
