// What a chat costs in the router: a router_main of its own, and a shard group that follows a
// script. CPU time is that of the router's process; times are those that a caller sees. Then the
// same of bare_relay, which is what gRPC alone costs.
//
//   bazel run //tests/bench/router_chat:router_chat_bench
//
// The tokenizer is the checkpoint's (FACET_BENCH_MODEL, else the demo's small one); that of the
// family costs about the same for each byte (tests/bench/tokenizer).

#include <sys/sysinfo.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "nlohmann/json.hpp"
#include "router/callback_threads.h"
#include "router/served_model.h"
#include "router/testing/fake_shard_engine.h"
#include "tests/bench/router_chat/chat_load.h"
#include "tests/testing/process.h"

namespace facet {
namespace {

using testing::FakeShardEngine;

constexpr int kStreams = 16, kSteps = 1500;

// User and system time of a process so far.
absl::Duration CpuTime(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::stringstream text;
  text << file.rdbuf();
  const std::string stat = text.str();
  std::stringstream fields(stat.substr(stat.rfind(')') + 2));
  std::string skipped;
  int64_t user = 0, system = 0;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  fields >> user >> system;
  return absl::Seconds(static_cast<double>(user + system) /
                       static_cast<double>(sysconf(_SC_CLK_TCK)));
}

double Load() {
  struct sysinfo info {};
  FACET_CHECK(sysinfo(&info) == 0) << "sysinfo";
  return static_cast<double>(info.loads[0]) / (1 << SI_LOAD_SHIFT);
}

// The checkpoint's folder without its weights, and with room for long chats.
std::string MakeModelDir(const std::string& checkpoint) {
  const std::filesystem::path dir = testing::MakeTestDir();
  std::filesystem::copy_file(checkpoint + "/tokenizer.json", dir / "tokenizer.json");
  std::ifstream file(checkpoint + "/config.json");
  nlohmann::ordered_json config = nlohmann::ordered_json::parse(file, nullptr, false);
  FACET_CHECK(config.is_object()) << checkpoint << "/config.json";
  (config.contains("text_config") ? config["text_config"] : config)["max_position_embeddings"] =
      262144;
  std::ofstream(dir / "config.json") << config.dump();
  return dir;
}

// A token of plain text, whatever the tokenizer is.
int32_t SomeTextToken(const ServedModel& model) {
  const auto ids = model.tokenizer->Encode("a", {});
  FACET_CHECK(ids.ok() && !ids->empty()) << ids.status();
  return ids->back();
}

// Answers at once: all tokens in one message.
FakeShardEngine::OnSubmit AnswersAtOnce(int32_t token) {
  return [token](FakeShardEngine& engine, const internal::SubmitRequest& request) {
    engine.SendStarted(request.id());
    engine.Send(request.id(),
                std::vector<int32_t>(static_cast<size_t>(request.stopping().max_tokens()), token),
                internal::Finish::LENGTH);
  };
}

// Waits for kStreams requests, then gives each a token in every step, as a leader does: one message
// for all. `pause`: between two steps; zero: as fast as the router takes them.
class StepWriter {
 public:
  StepWriter(int32_t token, absl::Duration pause) : token_(token), pause_(pause) {}
  ~StepWriter() {
    if (thread_.joinable()) thread_.join();
  }

  FakeShardEngine::OnSubmit on_submit() {
    return [this](FakeShardEngine& engine, const internal::SubmitRequest& request) {
      std::lock_guard<std::mutex> lock(mutex_);
      ids_.push_back(request.id());
      if (ids_.size() == kStreams) thread_ = std::thread([this, &engine] { Write(engine); });
    };
  }

 private:
  void Write(FakeShardEngine& engine) {
    for (int step = 0; step < kSteps; ++step) {
      internal::EngineFrame frame;
      for (const uint64_t id : ids_) {
        internal::SequenceOutput* output = frame.add_outputs();
        output->set_id(id);
        output->add_tokens()->set_token_id(token_);
        if (step + 1 == kSteps) output->mutable_finish()->set_reason(internal::Finish::LENGTH);
      }
      engine.SendFrame(frame);
      if (pause_ > absl::ZeroDuration()) absl::SleepFor(pause_);
    }
  }

  const int32_t token_;
  const absl::Duration pause_;
  std::mutex mutex_;
  std::vector<uint64_t> ids_;
  std::thread thread_;
};

// A router in front of one scripted group.
class Bench {
 public:
  // `more`: flags.
  Bench(const std::string& program, const std::string& model_dir, const ServedModel& model,
        FakeShardEngine::OnSubmit script, const std::vector<std::string>& more = {})
      : engine_(model, std::move(script)) {
    const std::string port_file = testing::MakeTestDir() + "/ports";
    std::vector<std::string> argv = {
        testing::BinaryPath(program), "--model=" + model_dir, "--groups=" + engine_.address(),
        "--listen=127.0.0.1:0",       "--metrics=",           "--max_requests=2000",
        "--port_file=" + port_file};
    argv.insert(argv.end(), more.begin(), more.end());
    auto router = testing::ChildProcess::Start({.argv = argv});
    FACET_CHECK(router.ok()) << router.status();
    router_ = *std::move(router);
    auto ports = testing::WaitForPorts(port_file, absl::Seconds(30), *router_);
    FACET_CHECK(ports.ok()) << ports.status();
    stub_ = v1::Generation::NewStub(
        grpc::CreateChannel(ports->grpc_address(), grpc::InsecureChannelCredentials()));
    while (RunConcurrent(*stub_, UserMessage("Hi", 1), 1, 1).failed > 0) {
      absl::SleepFor(absl::Milliseconds(20));  // the group is not known yet
    }
  }

  v1::Generation::Stub& stub() { return *stub_; }
  absl::Duration cpu() const { return CpuTime(router_->pid()); }

 private:
  FakeShardEngine engine_;
  std::unique_ptr<testing::ChildProcess> router_;
  std::unique_ptr<v1::Generation::Stub> stub_;
};

// Words as varied as prose: some 1,900 different ones in 6,000, the same in each run.
std::string Words(int count) {
  static const char* const syllables[] = {"har", "bour", "keep", "er", "count", "ed", "ships",
                                          "be",  "fore", "a",    "ro", "ven",   "ly", "tion"};
  constexpr uint32_t kSyllables = std::size(syllables);
  uint32_t state = 1;
  const auto next = [&state] { return (state = state * 1664525 + 1013904223) >> 16; };
  std::string text;
  for (int i = 0; i < count; ++i) {
    for (uint32_t n = 1 + next() % 3; n > 0; --n) text += syllables[next() % kSyllables];
    text += i % 11 == 10 ? ".\n" : " ";
  }
  return text;
}

double Micros(absl::Duration d) { return absl::ToDoubleMicroseconds(d); }

void ShortChats(Bench& bench) {
  constexpr int kCount = 3000;
  RunConcurrent(bench.stub(), UserMessage("Warm up.", 8), 300, 8);
  const absl::Duration before = bench.cpu();
  const auto result =
      RunConcurrent(bench.stub(), UserMessage("Why is the sky blue?", 8), kCount, 8);
  std::printf("short chat (8 tokens in one step): %.1f us of CPU; %d failed\n",
              Micros(bench.cpu() - before) / kCount, result.failed);
}

void FirstTokens(Bench& bench) {
  const auto print = [](const char* what, const ChatLoadResult& result) {
    if (result.first_tokens.empty()) return;
    std::printf("%s: first token after %.0f us (median), %.0f us (99 %%); %d failed\n", what,
                Micros(Quantile(result.first_tokens, 0.5)),
                Micros(Quantile(result.first_tokens, 0.99)), result.failed);
  };
  print("one at a time", RunConcurrent(bench.stub(), UserMessage("Hi", 1), 500, 1));
  print("500 chats/s", RunAtRate(bench.stub(), UserMessage("Hi", 1), 2500, 500));
  print("prompt of 6000 words", RunConcurrent(bench.stub(), UserMessage(Words(6000), 1), 300, 1));
}

void Streams(const std::string& program, const std::string& model_dir, const ServedModel& model,
             absl::Duration pause, const std::vector<std::string>& more = {}) {
  const int32_t token = SomeTextToken(model);
  StepWriter writer(token, pause);
  std::mutex mutex;
  bool warm = false;
  // The bench's own first chat is answered at once.
  const auto script = [&](FakeShardEngine& engine, const internal::SubmitRequest& request) {
    std::unique_lock<std::mutex> lock(mutex);
    const bool first = !warm;
    warm = true;
    lock.unlock();
    (first ? AnswersAtOnce(token) : writer.on_submit())(engine, request);
  };
  Bench bench(program, model_dir, model, script, more);
  const absl::Duration before = bench.cpu();
  const auto result = RunConcurrent(bench.stub(), UserMessage("Hi", kSteps), kStreams, kStreams);
  const double tokens = static_cast<double>(result.tokens);
  std::printf(
      "%d streams, a step every %s%s: %.2f us of CPU a token, %.1f tokens a message, "
      "%.0f tokens/s; %d failed\n",
      kStreams, absl::FormatDuration(pause).c_str(),
      more.empty() ? "" : absl::StrCat(", ", absl::StrJoin(more, " ")).c_str(),
      Micros(bench.cpu() - before) / tokens, tokens / static_cast<double>(result.deltas),
      tokens / absl::ToDoubleSeconds(result.elapsed), result.failed);
}

}  // namespace
}  // namespace facet

int main() {
  facet::KeepCallbackThreads();
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const char* const chosen = std::getenv("FACET_BENCH_MODEL");
  const std::string model_dir =
      facet::MakeModelDir(chosen != nullptr ? chosen : "tests/golden/demo");
  const auto model = facet::LoadServedModel(model_dir, "");
  FACET_CHECK(model.ok()) << model.status();
  std::printf("load of the machine before: %.1f\n", facet::Load());
  for (const char* program :
       {"services/router/router_main", "tests/bench/router_chat/bare_relay"}) {
    std::printf("%s\n", program);
    {
      facet::Bench bench(program, model_dir, **model,
                         facet::AnswersAtOnce(facet::SomeTextToken(**model)));
      facet::ShortChats(bench);
      facet::FirstTokens(bench);
    }
    for (const int pause_ms : {20, 5, 1, 0}) {
      facet::Streams(program, model_dir, **model, absl::Milliseconds(pause_ms));
    }
  }
  for (const char* interval : {"--stream_interval=20ms", "--stream_interval=40ms"}) {
    facet::Streams("services/router/router_main", model_dir, **model, absl::Milliseconds(5),
                   {interval});
  }
  std::printf("load of the machine after: %.1f\n", facet::Load());
  return 0;
}
