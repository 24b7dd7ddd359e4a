#include "tests/testing/engine_client.h"

#include <utility>

namespace facet::testing {
namespace {

std::shared_ptr<grpc::Channel> Dial(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 1000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

internal::SubmitRequest GreedyRequest(uint64_t id, const std::vector<int32_t>& prompt,
                                      int max_tokens) {
  internal::SubmitRequest request;
  request.set_id(id);
  request.mutable_prompt()->Assign(prompt.begin(), prompt.end());
  request.mutable_sampling()->set_top_p(1);
  request.mutable_sampling()->set_repetition_penalty(1);
  request.mutable_stopping()->set_max_tokens(max_tokens);
  request.mutable_stopping()->set_ignore_eos(true);
  return request;
}

EngineClient::EngineClient(const std::string& leader_address)
    : channel_(Dial(leader_address)), stub_(internal::ShardEngine::NewStub(channel_)) {
  stream_ = stub_->Connect(&context_);
  reader_ = std::thread([this] { Read(); });
}

EngineClient::~EngineClient() {
  context_.TryCancel();
  reader_.join();
}

void EngineClient::Submit(internal::SubmitRequest request) {
  internal::RouterFrame frame;
  *frame.mutable_submit() = std::move(request);
  std::lock_guard<std::mutex> lock(write_mutex_);
  stream_->Write(frame);
}

void EngineClient::Cancel(uint64_t id) {
  internal::RouterFrame frame;
  frame.mutable_cancel()->set_id(id);
  std::lock_guard<std::mutex> lock(write_mutex_);
  stream_->Write(frame);
}

void EngineClient::Read() {
  internal::EngineFrame frame;
  while (stream_->Read(&frame)) {
    std::vector<internal::SubmitRequest> again;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      for (const internal::SequenceOutput& output : frame.outputs()) {
        outputs_[output.id()].MergeFrom(output);
        tokens_ += output.tokens_size();
        if (!output.has_finish()) continue;
        if (output.finish().reason() == internal::Finish::ERROR) {
          errors_.push_back(output.finish());
        } else if (auto node = repeated_.extract(output.id()); !node.empty()) {
          node.key() = next_repeated_++;
          node.mapped().set_id(node.key());
          again.push_back(node.mapped());
          repeated_.insert(std::move(node));
        }
      }
    }
    changed_.notify_all();
    for (internal::SubmitRequest& request : again) Submit(std::move(request));
  }
  const grpc::Status status = stream_->Finish();
  std::lock_guard<std::mutex> lock(mutex_);
  end_ = status;
  changed_.notify_all();
}

std::optional<internal::SequenceOutput> EngineClient::WaitFor(uint64_t id, absl::Duration timeout) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                    [&] { return outputs_[id].has_finish() || end_.has_value(); });
  if (!outputs_[id].has_finish()) return std::nullopt;
  return outputs_[id];
}

bool EngineClient::WaitForTokens(uint64_t id, int count, absl::Duration timeout) {
  std::unique_lock<std::mutex> lock(mutex_);
  return changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                           [&] { return outputs_[id].tokens_size() >= count; });
}

void EngineClient::KeepBusy(int requests, const std::vector<int32_t>& prompt, int max_tokens) {
  std::vector<internal::SubmitRequest> first;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (int i = 0; i < requests; ++i) {
      first.push_back(GreedyRequest(next_repeated_++, prompt, max_tokens));
      repeated_[first.back().id()] = first.back();
    }
  }
  for (internal::SubmitRequest& request : first) Submit(std::move(request));
}

std::optional<grpc::Status> EngineClient::WaitForEnd(absl::Duration timeout) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [&] { return end_.has_value(); });
  return end_;
}

std::vector<internal::Finish> EngineClient::errors() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return errors_;
}

int64_t EngineClient::tokens() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return tokens_;
}

}  // namespace facet::testing
