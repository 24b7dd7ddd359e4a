#ifndef FACET_ROUTER_MEDIA_ENCODER_CLIENT_H_
#define FACET_ROUTER_MEDIA_ENCODER_CLIENT_H_

// Calls of vision and audio encoders.

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/facet/internal/encoder.grpc.pb.h"
#include "router/media/media_metrics.h"
#include "router/media/replica_choice.h"

namespace facet {

// The replicas of one kind of encoder, taken in turn (ReplicaChoice). Connections are made when
// they are needed, and again when they are lost; one whose encoder answers no ping is lost.
// Thread-safe. Service: internal::VisionEncoder or AudioEncoder.
template <typename Service, typename Request, typename Response>
class EncoderClient {
 public:
  using Done = std::function<void(absl::StatusOr<Response>)>;

  // `name` is what messages call it: "vision encoder". Each address is host:port of a replica, or
  // dns:///name:port, whose addresses share the calls. An encoder that answers no ping for
  // `ping_timeout` while it has calls is lost. `metrics` must outlive it.
  EncoderClient(std::string name, const std::vector<std::string>& addresses,
                absl::Duration ping_timeout, MediaMetrics* metrics);

  bool empty() const { return replicas_.empty(); }

  // Calls `done` once, from any thread, at the latest when the deadline has passed, soon when
  // `cancelled` is; the client must live until then. Where a replica is lost or has too much to do,
  // another one is tried, once. Errors are the encoder's own; Unavailable and FailedPrecondition
  // name the encoder and its address. Not for an empty client.
  void Encode(std::shared_ptr<const Request> request, absl::Time deadline,
              std::stop_token cancelled, Done done);

 private:
  struct Replica {
    std::string address;
    std::unique_ptr<typename Service::Stub> stub;
    bool many = false;  // the name of several
  };
  // What one call is about, whichever replica is asked.
  struct Task {
    std::shared_ptr<const Request> request;
    absl::Time deadline;
    std::stop_token cancelled;
    Done done;
  };
  struct Call;

  void EncodeOn(size_t replica, bool may_retry, std::shared_ptr<const Task> task);
  void OnDone(size_t replica, bool may_retry, const std::shared_ptr<const Task>& task, Call& call,
              const absl::Status& status);

  const std::string name_;
  MediaMetrics& metrics_;
  std::vector<Replica> replicas_;
  ReplicaChoice choice_;
};

using VisionClient = EncoderClient<internal::VisionEncoder, internal::EncodeVisionRequest,
                                   internal::EncodeVisionResponse>;
using AudioClient = EncoderClient<internal::AudioEncoder, internal::EncodeAudioRequest,
                                  internal::EncodeAudioResponse>;

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_ENCODER_CLIENT_H_
