#include "router/shard_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace facet {

std::unique_ptr<ShardStream> ShardStream::Open(internal::ShardEngine::Stub* stub, size_t max_queue,
                                               Callbacks callbacks) {
  std::unique_ptr<ShardStream> stream(new ShardStream(max_queue, std::move(callbacks)));
  stub->async()->Connect(&stream->context_, stream.get());
  stream->AddHold();  // writes start outside of reactions; removed when reads end
  stream->StartRead(&stream->incoming_);
  stream->StartCall();
  return stream;
}

absl::Status ShardStream::Send(internal::RouterFrame frame) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (ended_) return absl::UnavailableError("the stream to the shard group has ended");
  // The others are small, few for each request, and make room on the other side: they always pass.
  if (queue_.size() >= max_queue_ && frame.has_submit()) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the shard group does not read: ", queue_.size(), " requests wait to be sent"));
  }
  queue_.push_back(std::move(frame));
  if (!writing_) WriteNextLocked();
  return absl::OkStatus();
}

void ShardStream::WriteNextLocked() {
  writing_ = !queue_.empty() && !ended_;
  if (writing_) StartWrite(&queue_.front());
}

void ShardStream::OnWriteDone(bool ok) {
  std::lock_guard<std::mutex> lock(mutex_);
  queue_.pop_front();
  writing_ = false;
  if (ok) WriteNextLocked();
  // If not, the stream is broken and the read fails too, which ends it.
}

void ShardStream::OnReadDone(bool ok) {
  if (!ok) {
    Ended();
    return;
  }
  callbacks_.on_frame(incoming_);
  StartRead(&incoming_);
}

void ShardStream::Ended() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
  }
  RemoveHold();
}

void ShardStream::OnDone(const grpc::Status& status) {
  // *this may be destroyed as soon as on_end has told somebody, before it has returned.
  const std::function<void(absl::Status)> on_end = std::move(callbacks_.on_end);
  on_end(absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message()));
}

}  // namespace facet
