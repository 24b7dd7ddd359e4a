#include "services/encoder/encode_reactor.h"

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "services/serving/status_to_grpc.h"

namespace facet {

StillWanted EncodeReactor::MakeStillWanted() const {
  return [cancelled = cancelled_, deadline = absl::FromChrono(context_.deadline())] {
    if (*cancelled) return absl::CancelledError("the caller left");
    if (absl::Now() < deadline) return absl::OkStatus();
    return absl::DeadlineExceededError("the deadline passed before the medium was encoded");
  };
}

void EncodeReactor::End(const absl::Status& status) { Finish(ToGrpcStatus(status, context_)); }

}  // namespace facet
