#ifndef FACET_SHARD_COLLECTIVE_GLOO_MESH_H_
#define FACET_SHARD_COLLECTIVE_GLOO_MESH_H_

// Messages between every two ranks of a group over TCP, on Gloo's transport layer.
//
// Only the transport is Gloo's. Its collectives are not used: their order of summation depends on
// the algorithm, and they ask for a receipt before they send. Here each rank keeps kWindow receive
// buffers per peer posted at all times, so a message leaves at once; one more waits at the sender
// until the receiver has released one (that is the flow control).
//
// Gloo ends every connection of a group when one of its own waits times out, and does not wake a
// wait whose message was cut off in the middle. So its timeouts are never used: a thread of the
// mesh looks every 10 ms after the one wait that is going on, and wakes it when its time is over or
// when a connection has gone. A rank that breaks the group, or leaves it, first tells each peer why
// in a notice; a connection that ends without one means that the peer died.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "shard/collective/key_value_store.h"
#include "shard/collective/operation.h"

namespace facet {

class GlooMesh {
 public:
  // Messages that a rank may have sent to a peer and that the peer has not released yet.
  static constexpr int kWindow = 3;

  struct Options {
    int rank = 0;
    int world_size = 2;     // at least 2
    std::string interface;  // "eth0"; empty: by `hostname`
    std::string hostname;
    std::string key_prefix;
    size_t max_payload_bytes = 0;  // of one message
  };

  // Leads the payload of each message; says what the sender is doing.
  struct Header {
    Operation op;
    uint64_t sequence = 0;  // of the operation
    uint64_t chunk = 0;
    uint64_t payload_bytes = 0;
  };

  struct Message {
    Header header;
    const uint8_t* payload = nullptr;  // 64-byte aligned, valid until Release()
  };

  // What a rank says before it closes its connections.
  struct Notice {
    enum Kind : uint32_t { kLeft = 1, kBroke = 2, kAborted = 3 };
    Kind kind = kLeft;
    absl::Status reason;
  };

  // Exchanges addresses through `store` (used during the call only) and connects to all.
  static absl::StatusOr<std::unique_ptr<GlooMesh>> Connect(const Options& options,
                                                           KeyValueStore& store,
                                                           absl::Duration timeout);
  ~GlooMesh();  // without a notice, if Close() has not been called

  // One thread at a time calls these five. Their errors:
  //   Unavailable, or what a peer's notice says   a connection has gone, of whichever peer
  //   DeadlineExceeded                            call.deadline has passed
  //   Cancelled                                   Interrupt()

  // For the beginning of an operation: OK if no connection is known to have gone.
  absl::Status CheckConnections();
  // Copies the message and hands it over. Waits only where kWindow earlier messages have not been
  // released yet.
  absl::Status Send(const Call& call, int peer, const Header& header,
                    absl::Span<const uint8_t> payload);
  // The next message of `peer`. One message per peer at a time is held.
  absl::StatusOr<Message> Receive(const Call& call, int peer);
  void Release(int peer);
  // Those of `peers` whose next message has not come yet.
  std::vector<int> Missing(const std::vector<int>& peers);

  // Makes the running and every later call above return. From any thread.
  void Interrupt();

  // Tells the peers and closes all connections. The last call.
  void Close(const Notice& notice);

 private:
  struct Impl;
  explicit GlooMesh(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_GLOO_MESH_H_
