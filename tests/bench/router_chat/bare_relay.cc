// The least that gRPC lets a router cost: chats come in, go to the shard group unread, and its
// tokens go out as they come. One thread and one completion queue for both sides; no text, no
// limits, no errors, no end; with the two services that every server offers, health and reflection.
// Beside it the router's own figures say what the router adds.
//
//   bare_relay --groups=HOST:PORT --port_file=PATH

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/log.h"
#include "grpcpp/grpcpp.h"
#include "proto/facet/internal/shard_engine.grpc.pb.h"
#include "proto/facet/v1/generation.grpc.pb.h"
#include "services/serving/port_file.h"

namespace facet {
namespace {

// What a completion queue calls back.
class Event {
 public:
  virtual ~Event() = default;
  virtual void Happened(bool ok) = 0;
};

class Chat;

// The stream to the group.
class Group {
 public:
  Group(const std::string& address, grpc::CompletionQueue* queue) : written_(this), read_(this) {
    stub_ = internal::ShardEngine::NewStub(
        grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    context_.set_wait_for_ready(true);
    stream_ = stub_->AsyncConnect(&context_, queue, &written_);
  }

  void Submit(Chat* chat, int32_t max_tokens) {
    internal::RouterFrame frame;
    frame.mutable_submit()->set_id(++last_id_);
    frame.mutable_submit()->set_n(1);
    frame.mutable_submit()->add_prompt(1);
    frame.mutable_submit()->mutable_stopping()->set_max_tokens(max_tokens);
    chats_.emplace(last_id_, chat);
    frames_.push_back(std::move(frame));
    if (!writing_) WriteNext();
  }

 private:
  struct Written final : Event {
    explicit Written(Group* group) : group(group) {}
    void Happened(bool ok) override { group->Written(ok); }
    Group* const group;
  };
  struct Read final : Event {
    explicit Read(Group* group) : group(group) {}
    void Happened(bool ok) override { group->Deliver(ok); }
    Group* const group;
  };

  void WriteNext() {
    writing_ = !frames_.empty();
    if (writing_) stream_->Write(frames_.front(), &written_);
  }
  void Written(bool ok) {
    FACET_CHECK(ok) << "the group is gone";
    if (started_) frames_.pop_front();
    if (!started_) stream_->Read(&frame_, &read_);
    started_ = true;
    WriteNext();
  }
  void Deliver(bool ok);

  std::unique_ptr<internal::ShardEngine::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<internal::RouterFrame, internal::EngineFrame>>
      stream_;
  struct Written written_;
  Read read_;
  internal::EngineFrame frame_;
  std::deque<internal::RouterFrame> frames_;
  bool writing_ = true;  // at first: the call begins
  bool started_ = false;
  uint64_t last_id_ = 0;
  std::unordered_map<uint64_t, Chat*> chats_;
};

// One call, from before its arrival to its end. Deletes itself.
class Chat final : public Event {
 public:
  static void Await(v1::Generation::AsyncService* service, grpc::ServerCompletionQueue* queue,
                    Group* group) {
    auto chat = std::unique_ptr<Chat>(new Chat(service, queue, group));
    service->RequestChat(&chat->context_, &chat->request_, &chat->writer_, queue, queue,
                         chat.get());
    chat.release();  // the queue gives it back
  }

  void Hear(const internal::SequenceOutput& output) {
    if (output.tokens_size() > 0) {
      v1::ChatDelta& delta = *waiting_.emplace_back().mutable_delta();
      for (const auto& token : output.tokens()) {
        delta.add_token_ids(token.token_id());
        delta.mutable_content()->append("a");
      }
    }
    finishing_ = finishing_ || output.has_finish();
    if (!writing_) WriteNext();
  }

  void Happened(bool ok) override {
    if (!arrived_) {
      arrived_ = true;
      Await(service_, queue_, group_);
      waiting_.emplace_back().mutable_start()->set_request_id("0123456789abcdef");
      group_->Submit(this, request_.stopping().max_tokens());
    } else {
      writing_ = false;
      if (finished_ || !ok) return delete this;
      if (!sent_.empty()) sent_.clear();
      WriteNext();
    }
  }

 private:
  Chat(v1::Generation::AsyncService* service, grpc::ServerCompletionQueue* queue, Group* group)
      : service_(service), queue_(queue), group_(group), writer_(&context_) {}

  void WriteNext() {
    if (waiting_.empty()) {
      finished_ = finishing_;
      if (!finished_) return;
      writing_ = true;
      v1::ChatResponse end;
      end.mutable_end()->mutable_usage()->set_completion_tokens(1);
      return writer_.WriteAndFinish(end, grpc::WriteOptions(), grpc::Status::OK, this);
    }
    writing_ = true;
    sent_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    grpc::WriteOptions options;
    // Not the first one: gRPC calls its metadata written when they are sent.
    if (!sent_first_) {
      sent_first_ = true;
    } else if (!waiting_.empty() || finishing_) {
      options.set_buffer_hint();
    }
    writer_.Write(sent_.back(), options, this);
  }

  v1::Generation::AsyncService* const service_;
  grpc::ServerCompletionQueue* const queue_;
  Group* const group_;
  grpc::ServerContext context_;
  v1::ChatRequest request_;
  grpc::ServerAsyncWriter<v1::ChatResponse> writer_;
  std::deque<v1::ChatResponse> waiting_, sent_;
  bool arrived_ = false, sent_first_ = false, writing_ = false, finishing_ = false,
       finished_ = false;
};

void Group::Deliver(bool ok) {
  FACET_CHECK(ok) << "the group is gone";
  for (const internal::SequenceOutput& output : frame_.outputs()) {
    const auto chat = chats_.find(output.id());
    if (chat == chats_.end()) continue;
    Chat* const to = chat->second;
    if (output.has_finish()) chats_.erase(chat);
    to->Hear(output);
  }
  stream_->Read(&frame_, &read_);
}

void Relay(const std::string& group_address, const std::string& port_file) {
  grpc::EnableDefaultHealthCheckService(true);
  v1::Generation::AsyncService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  FACET_CHECK(server != nullptr) << "no port";
  Group group(group_address, queue.get());
  for (int i = 0; i < 4; ++i) Chat::Await(&service, queue.get(), &group);
  FACET_CHECK(WritePortFile(port_file, port, 0).ok()) << port_file;
  void* tag = nullptr;
  for (bool ok = false; queue->Next(&tag, &ok);) static_cast<Event*>(tag)->Happened(ok);
}

}  // namespace
}  // namespace facet

int main(int argc, char** argv) {
  std::string group, port_file;
  for (int i = 1; i < argc; ++i) {
    absl::string_view flag = argv[i];
    if (absl::ConsumePrefix(&flag, "--groups=")) group = std::string(flag);
    if (absl::ConsumePrefix(&flag, "--port_file=")) port_file = std::string(flag);
  }
  facet::Relay(group, port_file);
  return 0;
}
