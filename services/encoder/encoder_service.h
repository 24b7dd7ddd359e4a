#ifndef FACET_SERVICES_ENCODER_ENCODER_SERVICE_H_
#define FACET_SERVICES_ENCODER_ENCODER_SERVICE_H_

#include <mutex>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/grpcpp.h"
#include "proto/facet/internal/encoder.grpc.pb.h"
#include "services/encoder/encode_pipeline.h"
#include "services/encoder/encode_reactor.h"
#include "services/serving/status_to_grpc.h"

namespace facet {

// facet.internal.VisionEncoder or AudioEncoder on the wire: Encoder::Service. Thread-safe.
template <typename Encoder>
class EncoderService final : public Encoder::Service::CallbackService {
 public:
  using Request = typename Encoder::Request;
  using Response = typename Encoder::Response;

  // From here on calls are taken; before, they are Unavailable. `pipeline` must outlive the server.
  void SetPipeline(EncodePipeline<Encoder>* pipeline, internal::EncoderInfo info) {
    std::lock_guard<std::mutex> lock(mutex_);
    pipeline_ = pipeline;
    info_ = std::move(info);
  }

  grpc::ServerUnaryReactor* Encode(grpc::CallbackServerContext* context, const Request* request,
                                   Response* response) override {
    auto* const reactor = new EncodeReactor(context);
    EncodePipeline<Encoder>* const pipeline = this->pipeline();
    if (pipeline == nullptr) {
      reactor->End(Loading());
    } else if (const absl::Status expected = CheckExpected(request->expected()); !expected.ok()) {
      reactor->End(expected);
    } else {
      pipeline->Encode(*request, response, reactor->MakeStillWanted(),
                       [reactor](const absl::Status& status) { reactor->End(status); });
    }
    return reactor;
  }

  grpc::ServerUnaryReactor* GetInfo(grpc::CallbackServerContext* context,
                                    const internal::GetEncoderInfoRequest*,
                                    internal::EncoderInfo* response) override {
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    std::lock_guard<std::mutex> lock(mutex_);
    if (pipeline_ != nullptr) *response = info_;
    reactor->Finish(ToGrpcStatus(pipeline_ != nullptr ? absl::OkStatus() : Loading()));
    return reactor;
  }

 private:
  // Rows of another checkpoint would be nonsense to the model that reads them.
  absl::Status CheckExpected(const internal::ExpectedEncoder& expected) const {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!expected.fingerprint().empty() && expected.fingerprint() != info_.fingerprint()) {
      return absl::FailedPreconditionError(
          absl::StrCat("it serves checkpoint ", info_.fingerprint(), " (", info_.model_name(),
                       "), not ", expected.fingerprint()));
    }
    if (!expected.dtype().empty() && expected.dtype() != info_.dtype()) {
      return absl::FailedPreconditionError(absl::StrCat("it computes in ", info_.dtype(),
                                                        " (--dtype), and the shard groups in ",
                                                        expected.dtype()));
    }
    return absl::OkStatus();
  }

  static absl::Status Loading() { return absl::UnavailableError("the encoder is loading"); }

  EncodePipeline<Encoder>* pipeline() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return pipeline_;
  }

  mutable std::mutex mutex_;
  EncodePipeline<Encoder>* pipeline_ = nullptr;
  internal::EncoderInfo info_;
};

}  // namespace facet

#endif  // FACET_SERVICES_ENCODER_ENCODER_SERVICE_H_
