#ifndef FACET_SERVICES_SERVING_CONNECTION_LIMITS_H_
#define FACET_SERVICES_SERVING_CONNECTION_LIMITS_H_

#include "grpcpp/grpcpp.h"

namespace facet {

// How every server of ours treats a connection, whatever its calls do:
//
// - A client may ping as often as it likes, with or without calls: libraries and their users choose
//   intervals from 1 s to minutes, and a network may deliver several pings at once. An answered
//   ping costs less than a stream that is ended for it ("too_many_pings").
// - A peer that is gone without a word is noticed within 30 s: after 20 s of silence this side
//   pings, and closes the connection if no answer comes within 10 s.
// - Nothing ends by age: a stream may be silent, and last, as long as both sides live.
// - Metadata of a call: 32 KiB. More is refused by gRPC with RESOURCE_EXHAUSTED.
// - A port that another process listens on is refused, not shared with it.
void SetConnectionLimits(grpc::ServerBuilder& builder);

}  // namespace facet

#endif  // FACET_SERVICES_SERVING_CONNECTION_LIMITS_H_
