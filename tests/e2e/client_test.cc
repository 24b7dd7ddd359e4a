// The command-line client against a real cluster: what it prints, and its exit statuses.

#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/e2e/client_run.h"
#include "tests/e2e/generate_client.h"
#include "tests/e2e/local_cluster.h"

namespace facet::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using Result = ClientResult;

class ClientTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ClusterOptions options;
    options.model = "tests/golden/demo";
    auto cluster = LocalCluster::Start(options);
    ASSERT_THAT(cluster, IsOk());
    cluster_ = cluster->release();
  }
  static void TearDownTestSuite() { std::unique_ptr<LocalCluster> cluster(cluster_); }
  void SetUp() override { ASSERT_NE(cluster_, nullptr); }

  // Runs the client with the cluster's address in FACET_ROUTER.
  static Result Run(const std::vector<std::string>& arguments, const std::string& router = "") {
    return RunClient(router.empty() ? cluster_->router_address() : router, dir_, arguments);
  }

  static nlohmann::json Json(const Result& result) {
    return nlohmann::json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  }

  static LocalCluster* cluster_;
  static const std::string dir_;
};
LocalCluster* ClientTest::cluster_ = nullptr;
const std::string ClientTest::dir_ = MakeTestDir();

TEST_F(ClientTest, GeneratePrintsOneJsonObject) {
  const Result result = Run({"generate", "--prompt-ids", "2,40,41,42", "--max-tokens", "6",
                             "--temperature", "0", "--ignore-eos", "--logprobs", "2", "--json"});
  ASSERT_EQ(result.exit_status, 0) << result.err;
  const nlohmann::json json = Json(result);
  ASSERT_TRUE(json.is_object()) << result.out;
  EXPECT_EQ(json["token_ids"].size(), 6u);
  EXPECT_EQ(json["finish_reason"], "LENGTH");
  EXPECT_EQ(json["usage"]["prompt_tokens"], 4);
  EXPECT_EQ(json["usage"]["cached_tokens"], 0);
  EXPECT_EQ(json["usage"]["completion_tokens"], 6);
  ASSERT_EQ(json["logprobs"].size(), 6u);
  EXPECT_EQ(json["logprobs"][0]["token_id"], json["token_ids"][0]);
  EXPECT_EQ(json["logprobs"][0]["top"].size(), 2u);
  const Answer answer = Generate(cluster_->channel(), GreedyRequest({2, 40, 41, 42}, 6));
  EXPECT_EQ(json["token_ids"].get<std::vector<int32_t>>(), answer.token_ids);
  EXPECT_EQ(json["text"], answer.text);
}

TEST_F(ClientTest, GenerateGivesSeveralCompletionsAndThePromptsLogprobs) {
  const std::vector<std::string> arguments = {"generate",
                                              "--prompt-ids",
                                              "2,40,41,42",
                                              "--max-tokens",
                                              "6",
                                              "--temperature",
                                              "1",
                                              "--seed",
                                              "3",
                                              "--ignore-eos",
                                              "--prompt-logprobs",
                                              "1",
                                              "--logprobs",
                                              "0",
                                              "--n",
                                              "3",
                                              "--cache-salt",
                                              "tenant"};
  std::vector<std::string> with_json = arguments;
  with_json.push_back("--json");
  const Result result = Run(with_json);
  ASSERT_EQ(result.exit_status, 0) << result.err;
  const nlohmann::json json = Json(result);
  ASSERT_EQ(json["completions"].size(), 3u) << result.out;
  for (const auto& completion : json["completions"]) {
    EXPECT_EQ(completion["token_ids"].size(), 6u);
    EXPECT_EQ(completion["logprobs"].size(), 6u);
    EXPECT_EQ(completion["finish_reason"], "LENGTH");
  }
  EXPECT_EQ(json["token_ids"], json["completions"][0]["token_ids"]);
  EXPECT_EQ(json["usage"]["completion_tokens"], 18);
  ASSERT_EQ(json["prompt_logprobs"].size(), 3u);
  EXPECT_EQ(json["prompt_logprobs"][0]["token_id"], 40);
  EXPECT_EQ(json["prompt_logprobs"][0]["top"].size(), 1u);
  const Result text = Run(arguments);
  ASSERT_EQ(text.exit_status, 0) << text.err;
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(text.out,
                HasSubstr(absl::StrCat("[", i, "] ",
                                       json["completions"][i]["text"].get<std::string>(), "\n")));
  }
}

TEST_F(ClientTest, GenerateStreamsText) {
  const std::vector<std::string> arguments = {
      "generate", "--prompt", "Hello",        "--max-tokens",  "8",
      "--seed",   "5",        "--ignore-eos", "--temperature", "0.7"};
  const Result text = Run(arguments);
  ASSERT_EQ(text.exit_status, 0) << text.err;
  std::vector<std::string> with_json = arguments;
  with_json.push_back("--json");
  const Result json = Run(with_json);
  ASSERT_EQ(json.exit_status, 0) << json.err;
  EXPECT_EQ(text.out, Json(json)["text"].get<std::string>() + "\n");
  EXPECT_FALSE(Json(json).contains("logprobs"));
}

TEST_F(ClientTest, GenerateTakesAPromptFromAFileAndStopStrings) {
  const std::string file = absl::StrCat(dir_, "/prompt");
  std::ofstream(file) << "Hello";
  const std::vector<std::string> common = {"--max-tokens", "30",    "--temperature", "0",
                                           "--ignore-eos", "--json"};
  const auto run = [&common](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "generate");
    arguments.insert(arguments.end(), common.begin(), common.end());
    return Run(arguments);
  };
  const Result direct = run({"--prompt", "Hello"});
  const Result from_file = run({"--prompt-file", file});
  ASSERT_EQ(direct.exit_status, 0) << direct.err;
  ASSERT_EQ(from_file.exit_status, 0) << from_file.err;
  EXPECT_EQ(Json(from_file)["token_ids"], Json(direct)["token_ids"]);
  // A piece of the answer as a stop string, behind one that never comes.
  const std::string text = Json(direct)["text"].get<std::string>();
  const std::string stop = CodePointFromTheMiddle(text);
  ASSERT_NE(stop, "");
  const Result stopped = run({"--prompt", "Hello", "--stop", "--never--", "--stop", stop});
  ASSERT_EQ(stopped.exit_status, 0) << stopped.err;
  EXPECT_EQ(Json(stopped)["text"], text.substr(0, text.find(stop)));
  EXPECT_EQ(Json(stopped)["finish_reason"], "STOP_SEQUENCE");
  EXPECT_EQ(Json(stopped)["matched_stop"], stop);
}

TEST_F(ClientTest, AFailedRequestExitsWithOneAndSaysWhy) {
  const Result too_long =
      Run({"generate", "--prompt-ids", absl::StrJoin(std::vector<int>(600, 7), ","), "--json"});
  EXPECT_EQ(too_long.exit_status, 1);
  EXPECT_EQ(too_long.out, "");
  EXPECT_THAT(too_long.err,
              AllOf(HasSubstr("INVALID_ARGUMENT"), HasSubstr("600"), HasSubstr("512")));
  const Result empty = Run({"generate", "--prompt", ""});
  EXPECT_EQ(empty.exit_status, 1);
  EXPECT_THAT(empty.err, HasSubstr("INVALID_ARGUMENT: prompt.text is empty"));
  const Result model = Run({"generate", "--prompt", "x", "--model", "other"});
  EXPECT_EQ(model.exit_status, 1);
  EXPECT_THAT(model.err, HasSubstr("NOT_FOUND"));
  const Result nobody = Run({"models"}, "127.0.0.1:1");
  EXPECT_EQ(nobody.exit_status, 1);
  EXPECT_THAT(nobody.err, HasSubstr("UNAVAILABLE"));
  const Result late = Run({"generate", "--prompt", "x", "--ignore-eos", "--timeout", "0.02"});
  EXPECT_EQ(late.exit_status, 1);
  EXPECT_THAT(late.err, HasSubstr("DEADLINE_EXCEEDED"));
}

TEST_F(ClientTest, AWrongCommandLineExitsWithTwo) {
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"nonsense"},
      {"generate"},
      {"generate", "--prompt", "a", "--prompt-ids", "1"},
      {"generate", "--prompt", "a", "--nonsense"},
      {"generate", "--prompt"},
      {"generate", "--prompt-ids", "1,x"},
      {"generate", "--prompt", "a", "--max-tokens", "many"},
      {"generate", "--prompt", "a", "word"},
      {"generate", "--prompt-file", "/no/such/file"},
      {"generate", "--prompt-ids", "1", "--parse-special"},
      {"models", "--prompt", "a"},
      {"tokenize"},
      {"bench", "--concurrency", "0"},
      {"bench", "--prompt-tokens", "8", "--shared-prefix", "9"},
      {"generate", "--prompt", "a", "--n", "x"},
  };
  for (const auto& arguments : wrong) {
    const Result result = Run(arguments);
    EXPECT_EQ(result.exit_status, 2) << absl::StrJoin(arguments, " ") << "\n" << result.err;
    EXPECT_NE(result.err, "");
    EXPECT_EQ(result.out, "");
  }
}

TEST_F(ClientTest, HelpExitsWithZero) {
  EXPECT_THAT(Run({"--help"}).out, HasSubstr("generate"));
  const Result result = Run({"generate", "--help"});
  EXPECT_EQ(result.exit_status, 0);
  EXPECT_THAT(result.out, AllOf(HasSubstr("--prompt-ids"), HasSubstr("--json")));
}

TEST_F(ClientTest, TokenizeAndDetokenizeAreInverse) {
  const Result tokens = Run({"tokenize", "--json", "naïve 👍 <turn|>"});
  ASSERT_EQ(tokens.exit_status, 0) << tokens.err;
  const auto ids = Json(tokens)["token_ids"].get<std::vector<int32_t>>();
  ASSERT_FALSE(ids.empty());
  const Result text = Run({"detokenize", absl::StrJoin(ids, ",")});
  EXPECT_EQ(text.out, "naïve 👍 <turn|>\n");
  const Result list = Run({"tokenize", "naïve 👍 <turn|>"});
  EXPECT_EQ(list.out, absl::StrJoin(ids, ",") + "\n");
  const Result parsed = Run({"tokenize", "--parse-special", "--json", "naïve 👍 <turn|>"});
  EXPECT_LT(Json(parsed)["token_ids"].size(), ids.size());
  const Result count = Run({"count", "naïve 👍 <turn|>"});
  EXPECT_EQ(count.out, absl::StrCat(ids.size() + 1, "\n"));
  EXPECT_EQ(Run({"tokenize", "--text", "--json"}).exit_status, 0);  // a text like a flag
}

TEST_F(ClientTest, ModelsShowsWhatIsServed) {
  const Result table = Run({"models"});
  ASSERT_EQ(table.exit_status, 0) << table.err;
  EXPECT_THAT(table.out, AllOf(HasSubstr("demo"), HasSubstr("512"), HasSubstr("1/1")));
  const Result json = Run({"models", "--json"});
  EXPECT_EQ(Json(json)["models"][0]["name"], "demo");
  EXPECT_EQ(Json(json)["models"][0]["context_length"], 512);
  EXPECT_NE(Json(json)["models"][0]["fingerprint"], "");
}

TEST_F(ClientTest, BenchMeasures) {
  const std::vector<std::string> load = {"bench", "--concurrency",   "3",  "--requests",
                                         "6",     "--prompt-tokens", "10", "--output-tokens",
                                         "5"};
  const Result table = Run(load);
  ASSERT_EQ(table.exit_status, 0) << table.err;
  EXPECT_THAT(table.out, AllOf(HasSubstr("6 requests at concurrency 3"), HasSubstr("0 errors")));
  std::vector<std::string> with_json = load;
  with_json.push_back("--json");
  const nlohmann::json json = Json(Run(with_json));
  EXPECT_EQ(json["requests"], 6);
  EXPECT_EQ(json["output_tokens"], 30);
  EXPECT_EQ(json["prompt_tokens"], 60);
  EXPECT_GT(json["output_tokens_per_second"], 0);
  EXPECT_GT(json["time_to_first_token_seconds"]["p50"], 0);
  EXPECT_GE(json["inter_token_latency_seconds"]["p99"], json["inter_token_latency_seconds"]["p50"]);
  const Result refused = Run({"bench", "--requests", "2", "--prompt-tokens", "600", "--json"});
  EXPECT_EQ(refused.exit_status, 1);
  EXPECT_EQ(Json(refused)["error_codes"]["INVALID_ARGUMENT"], 2);
}

TEST(ClientWithoutTokenizerTest, PrintsTokenIdsAndRefusesText) {
  ClusterOptions options;
  options.model = "tests/golden/dense";
  const auto cluster = LocalCluster::Start(options);
  ASSERT_THAT(cluster, IsOk());
  const std::string router = (*cluster)->router_address();
  const auto run = [&router](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--router", router});
    arguments.insert(arguments.begin(), BinaryPath("services/client/facet_client"));
    auto client = ChildProcess::Start({arguments});
    EXPECT_THAT(client, IsOk());
    const int exit_status = (*client)->WaitForExit(absl::Seconds(40)).value_or(-1);
    return std::make_pair(exit_status, (*client)->Output());
  };
  const Answer answer = Generate((*cluster)->channel(), GreedyRequest({2, 40}, 4));
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  const auto [exit_status, output] = run({"generate", "--prompt-ids", "2,40", "--max-tokens", "4",
                                          "--temperature", "0", "--ignore-eos"});
  EXPECT_EQ(exit_status, 0);
  EXPECT_EQ(output, absl::StrJoin(answer.token_ids, " ") + "\n");
  const auto [text_status, text_output] = run({"generate", "--prompt", "hello"});
  EXPECT_EQ(text_status, 1);
  EXPECT_THAT(text_output, AllOf(HasSubstr("FAILED_PRECONDITION"), HasSubstr("tokenizer.json")));
}

}  // namespace
}  // namespace facet::testing
