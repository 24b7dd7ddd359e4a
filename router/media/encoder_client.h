#ifndef FACET_ROUTER_MEDIA_ENCODER_CLIENT_H_
#define FACET_ROUTER_MEDIA_ENCODER_CLIENT_H_

// Calls of vision and audio encoders.

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/facet/internal/encoder.grpc.pb.h"

namespace facet {

// The replicas of one kind of encoder, taken in turn. Connections are made when they are needed,
// and again when they are lost. Thread-safe. Service: internal::VisionEncoder or AudioEncoder.
template <typename Service, typename Request, typename Response>
class EncoderClient {
 public:
  using Done = std::function<void(absl::StatusOr<Response>)>;

  // `name` is what messages call it: "vision encoder". Addresses are host:port.
  EncoderClient(std::string name, const std::vector<std::string>& addresses);

  bool empty() const { return replicas_.empty(); }

  // Calls `done` once, from any thread, at the latest when the deadline has passed; the client must
  // live until then. A replica that is Unavailable is tried once more on the next one. Errors are
  // the encoder's own; Unavailable names the encoder and its address. Not for an empty client.
  void Encode(std::shared_ptr<const Request> request, absl::Time deadline, Done done);

 private:
  struct Replica {
    std::string address;
    std::unique_ptr<typename Service::Stub> stub;
  };

  void EncodeOn(size_t replica, bool may_retry, std::shared_ptr<const Request> request,
                absl::Time deadline, Done done);

  const std::string name_;
  std::vector<Replica> replicas_;
  std::atomic<size_t> turn_{0};
};

using VisionClient = EncoderClient<internal::VisionEncoder, internal::EncodeVisionRequest,
                                   internal::EncodeVisionResponse>;
using AudioClient = EncoderClient<internal::AudioEncoder, internal::EncodeAudioRequest,
                                  internal::EncodeAudioResponse>;

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_ENCODER_CLIENT_H_
