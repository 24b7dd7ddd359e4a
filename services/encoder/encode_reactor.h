#ifndef FACET_SERVICES_ENCODER_ENCODE_REACTOR_H_
#define FACET_SERVICES_ENCODER_ENCODE_REACTOR_H_

#include <atomic>
#include <memory>

#include "absl/status/status.h"
#include "grpcpp/grpcpp.h"
#include "services/encoder/still_wanted.h"

namespace facet {

// A call of Encode on the wire. gRPC owns it until OnDone, which deletes it.
class EncodeReactor final : public grpc::ServerUnaryReactor {
 public:
  explicit EncodeReactor(grpc::CallbackServerContext* context) : context_(*context) {}

  // Says Cancelled once the caller has left, DeadlineExceeded once its deadline has passed. May
  // outlive this. Thread-safe.
  StillWanted MakeStillWanted() const;

  // Ends the call; once. The message of an OK call must be filled.
  void End(const absl::Status& status);

  void OnCancel() override { cancelled_->store(true); }
  void OnDone() override { delete this; }

 private:
  grpc::CallbackServerContext& context_;
  const std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace facet

#endif  // FACET_SERVICES_ENCODER_ENCODE_REACTOR_H_
