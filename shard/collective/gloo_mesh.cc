#include "shard/collective/gloo_mesh.h"

#include <arpa/inet.h>
#include <gloo/transport/context.h>
#include <gloo/transport/device.h>
#include <gloo/transport/tcp/device.h>
#include <gloo/transport/unbound_buffer.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace facet {
namespace {

using Clock = std::chrono::steady_clock;
using TransportBuffer = ::gloo::transport::UnboundBuffer;

constexpr size_t kHeaderBytes = 64;
constexpr uint64_t kMagic = 0x31676d7465636166;
constexpr std::chrono::milliseconds kLookInterval(10);
// In place of Gloo's timeout, which would close every connection.
constexpr std::chrono::hours kNever(1000);
// How long to wait for a notice to be on its way, and for the peers' own before leaving. Both are
// usually a round trip.
constexpr std::chrono::milliseconds kNoticeLimit(100);

// Gloo's message queues between two ranks.
enum Slot : uint64_t { kDataSlot = 0, kNoticeSlot = 1, kSilentSlot = 2 };

struct WireHeader {
  uint64_t magic;
  GlooMesh::Header header;
};
static_assert(sizeof(WireHeader) <= kHeaderBytes);

struct WireNotice {
  uint32_t kind;
  int32_t code;
  char message[504];
};

// Memory, and Gloo's handle on it.
class Buffer {
 public:
  Buffer(::gloo::transport::Context& context, size_t bytes)
      : bytes_(bytes),
        memory_(static_cast<uint8_t*>(::operator new (bytes, std::align_val_t{64}))),
        handle_(context.createUnboundBuffer(memory_.get(), bytes)) {
    std::memset(memory_.get(), 0, bytes);
  }

  uint8_t* data() const { return memory_.get(); }
  TransportBuffer& handle() const { return *handle_; }
  // Throws if the connection has gone.
  void PostReceive(int peer, Slot slot) { handle_->recv(peer, slot, 0, bytes_); }

 private:
  struct Free {
    void operator()(uint8_t* p) const { ::operator delete (p, std::align_val_t{64}); }
  };
  const size_t bytes_;
  const std::unique_ptr<uint8_t[], Free> memory_;
  const std::unique_ptr<TransportBuffer> handle_;  // goes before the memory
};

struct Peer {
  Peer(::gloo::transport::Context& context, int peer_rank, size_t message_bytes)
      : rank(peer_rank),
        notice_out(context, sizeof(WireNotice)),
        notice_in(context, sizeof(WireNotice)),
        silent(context, 1) {
    for (int i = 0; i < GlooMesh::kWindow; ++i) {
      send.emplace_back(context, message_bytes);
      receive.emplace_back(context, message_bytes);
      receive.back().PostReceive(rank, kDataSlot);
    }
    notice_in.PostReceive(rank, kNoticeSlot);
    silent.PostReceive(rank, kSilentSlot);
  }

  size_t next_send() const { return sent % GlooMesh::kWindow; }
  size_t next_receive() const { return received % GlooMesh::kWindow; }

  const int rank;
  // Rings. A deque, since the buffers cannot be moved.
  std::deque<Buffer> send, receive;
  std::array<bool, GlooMesh::kWindow> send_pending = {};
  uint64_t sent = 0;
  uint64_t received = 0;
  bool holds_message = false;  // receive[next_receive()] has come
  Buffer notice_out;
  Buffer notice_in;
  Buffer silent;  // nobody ever sends to it: its wait ends with the connection
  std::atomic<bool> gone{false};
  WireNotice notice = {};  // once it was read
};

// The address to bind to. Gloo itself does not survive a name that cannot be resolved.
absl::StatusOr<std::string> NumericAddress(const std::string& hostname) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(hostname.c_str(), nullptr, &hints, &found); error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("hostname \"", hostname, "\" has no address: ", gai_strerror(error)));
  }
  char text[INET6_ADDRSTRLEN + 16];
  const int error = getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof(text), nullptr, 0,
                                NI_NUMERICHOST);
  freeaddrinfo(found);
  if (error != 0) return absl::InternalError(absl::StrCat("getnameinfo: ", gai_strerror(error)));
  return std::string(text);
}

absl::StatusOr<std::shared_ptr<::gloo::transport::Device>> OpenDevice(
    const GlooMesh::Options& options) {
  ::gloo::transport::tcp::attr attributes;
  if (!options.interface.empty()) {
    attributes.iface = options.interface;
  } else {
    FACET_ASSIGN_OR_RETURN(attributes.hostname, NumericAddress(options.hostname));
  }
  try {
    return ::gloo::transport::tcp::CreateDevice(attributes);
  } catch (const std::exception& e) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot listen on ",
        options.interface.empty() ? absl::StrCat("hostname \"", options.hostname, "\"")
                                  : absl::StrCat("interface \"", options.interface, "\""),
        ": ", e.what()));
  }
}

// Gloo writes to sockets that the peer may have closed. The default action would end the process.
void IgnoreSigpipe() {
  struct sigaction action = {};
  if (sigaction(SIGPIPE, nullptr, &action) == 0 && action.sa_handler == SIG_DFL) {
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, nullptr);
  }
}

std::string KeyOf(const GlooMesh::Options& options, int rank) {
  return absl::StrCat(options.key_prefix, "/gloo/", rank);
}

// The value under KeyOf(rank): its addresses for all other ranks, in order.
absl::StatusOr<std::vector<std::string>> CollectAddresses(const GlooMesh::Options& options,
                                                          KeyValueStore& store,
                                                          Clock::time_point deadline,
                                                          absl::Duration limit) {
  std::vector<std::string> values(static_cast<size_t>(options.world_size));
  std::vector<int> missing;
  for (int r = 0; r < options.world_size; ++r) {
    if (r == options.rank) continue;
    const absl::Duration left =
        std::max(absl::FromChrono(deadline - Clock::now()), absl::Milliseconds(1));
    auto value = store.Get(KeyOf(options, r), left);
    if (value.ok()) {
      values[static_cast<size_t>(r)] = *std::move(value);
    } else if (absl::IsDeadlineExceeded(value.status())) {
      missing.push_back(r);
    } else {
      return value.status();
    }
  }
  if (!missing.empty()) {
    return absl::DeadlineExceededError(absl::StrCat(
        RankList(missing), " did not leave an address within ", absl::FormatDuration(limit)));
  }
  return values;
}

}  // namespace

struct GlooMesh::Impl {
  ~Impl() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      stop = true;
    }
    stopping.notify_all();
    if (watcher.joinable()) watcher.join();
  }

  Peer& peer(int rank) const { return *peers[static_cast<size_t>(rank)]; }

  absl::Status ConnectAll(KeyValueStore& store, Clock::time_point deadline, absl::Duration limit);
  absl::Status ConnectTo(int rank, const std::string& their_addresses, absl::Duration limit);

  // Waits until the transfer of `buffer` is complete. False if that did not happen before
  // `deadline`, or a connection of a peer that did not say goodbye has gone, or there was an
  // Interrupt(). Throws if Gloo says that this connection has gone.
  bool WaitFor(Buffer& buffer, bool receive, Clock::time_point deadline);
  // The same, made into a Status.
  absl::Status Await(const Call& call, Peer& from, Buffer& buffer, bool receive);
  // Why the connection has gone. Waits for nothing.
  absl::Status WhyGone(Peer& peer, const std::string& detail);
  // Why the first peer that has gone did so. OK if none has, or, where it `may_leave`, has left
  // properly: then it has done its part of the operation.
  absl::Status CheckPeers(bool may_leave);

  void Watch();
  // Sets `gone`; true if for someone new. Requires mutex.
  bool LookForLostPeers();

  Options options;
  std::shared_ptr<::gloo::transport::Device> device;
  std::shared_ptr<::gloo::transport::Context> context;
  std::vector<std::unique_ptr<Peer>> peers;  // by rank; null for our own
  bool closed = false;

  // The wait that is going on, for the watcher and Interrupt().
  std::mutex mutex;
  std::condition_variable stopping;
  bool stop = false;  // guarded by mutex, as all below
  bool interrupted = false;
  TransportBuffer* waiting = nullptr;
  bool waiting_to_receive = false;
  bool woken = false;  // abortWait...() was called for it
  Clock::time_point waiting_until;
  std::thread watcher;

  // Requires mutex.
  void Wake() {
    if (waiting == nullptr || woken) return;
    woken = true;
    if (waiting_to_receive) {
      waiting->abortWaitRecv();
    } else {
      waiting->abortWaitSend();
    }
  }
};

// Connecting -------------------------------------------------------------------------------------

GlooMesh::GlooMesh(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

GlooMesh::~GlooMesh() = default;

absl::StatusOr<std::unique_ptr<GlooMesh>> GlooMesh::Connect(const Options& options,
                                                            KeyValueStore& store,
                                                            absl::Duration timeout) {
  IgnoreSigpipe();
  const auto deadline = Clock::now() + absl::ToChronoNanoseconds(timeout);
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  FACET_ASSIGN_OR_RETURN(impl->device, OpenDevice(options));
  FACET_RETURN_IF_ERROR(impl->ConnectAll(store, deadline, timeout));
  impl->watcher = std::thread([raw = impl.get()] { raw->Watch(); });
  return std::unique_ptr<GlooMesh>(new GlooMesh(std::move(impl)));
}

absl::Status GlooMesh::Impl::ConnectAll(KeyValueStore& store, Clock::time_point deadline,
                                        absl::Duration limit) {
  std::string mine;
  try {
    context = device->createContext(options.rank, options.world_size);
    // A pair waits for its connection five times as long as it is told here.
    context->setTimeout(
        std::max(std::chrono::milliseconds(1), absl::ToChronoMilliseconds(limit) / 5));
    for (int r = 0; r < options.world_size; ++r) {
      if (r == options.rank) continue;
      const std::vector<char> address = context->createPair(r)->address().bytes();
      mine.append(address.begin(), address.end());
    }
  } catch (const std::exception& e) {
    return absl::InternalError(absl::StrCat("listening: ", e.what()));
  }
  FACET_RETURN_IF_ERROR(store.Set(KeyOf(options, options.rank), mine));
  FACET_ASSIGN_OR_RETURN(const std::vector<std::string> addresses,
                         CollectAddresses(options, store, deadline, limit));
  for (int r = 0; r < options.world_size; ++r) {
    if (r == options.rank) continue;
    const std::string& theirs = addresses[static_cast<size_t>(r)];
    if (theirs.size() != mine.size()) {
      return absl::FailedPreconditionError(
          absl::StrCat("rank ", r, " left ", theirs.size(), " bytes of addresses, rank ",
                       options.rank, " ", mine.size(), ": is the world size the same?"));
    }
    FACET_RETURN_IF_ERROR(ConnectTo(r, theirs, limit));
  }
  const size_t message_bytes = kHeaderBytes + options.max_payload_bytes;
  peers.resize(static_cast<size_t>(options.world_size));
  for (int r = 0; r < options.world_size; ++r) {
    if (r == options.rank) continue;
    try {
      peers[static_cast<size_t>(r)] = std::make_unique<Peer>(*context, r, message_bytes);
    } catch (const std::exception& e) {
      return PeerDiedError(r, e.what());
    }
  }
  return absl::OkStatus();
}

absl::Status GlooMesh::Impl::ConnectTo(int rank, const std::string& their_addresses,
                                       absl::Duration limit) {
  // Their list has no place for themselves.
  const size_t place = static_cast<size_t>(options.rank > rank ? options.rank - 1 : options.rank);
  const size_t bytes = their_addresses.size() / static_cast<size_t>(options.world_size - 1);
  const char* address = their_addresses.data() + place * bytes;
  try {
    context->getPair(rank)->connect(std::vector<char>(address, address + bytes));
  } catch (const std::exception& e) {
    if (std::strstr(e.what(), "Connect timeout") != nullptr) {
      return absl::DeadlineExceededError(
          absl::StrCat("rank ", rank, " did not connect within ", absl::FormatDuration(limit)));
    }
    return absl::UnavailableError(absl::StrCat("connecting with rank ", rank, ": ", e.what()));
  }
  return absl::OkStatus();
}

// Messages ---------------------------------------------------------------------------------------

absl::Status GlooMesh::CheckConnections() {
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    impl_->LookForLostPeers();
  }
  return impl_->CheckPeers(/*may_leave=*/false);
}

absl::Status GlooMesh::Send(const Call& call, int to, const Header& header,
                            absl::Span<const uint8_t> payload) {
  Peer& peer = impl_->peer(to);
  const size_t turn = peer.next_send();
  Buffer& buffer = peer.send[turn];
  if (peer.send_pending[turn]) {
    FACET_RETURN_IF_ERROR(impl_->Await(call, peer, buffer, /*receive=*/false));
    peer.send_pending[turn] = false;
  }
  const WireHeader wire{kMagic, header};
  std::memcpy(buffer.data(), &wire, sizeof(wire));
  if (!payload.empty()) {
    std::memcpy(buffer.data() + kHeaderBytes, payload.data(), payload.size());
  }
  try {
    buffer.handle().send(to, kDataSlot, 0, kHeaderBytes + payload.size());
  } catch (const std::exception& e) {
    return impl_->WhyGone(peer, e.what());
  }
  peer.send_pending[turn] = true;
  ++peer.sent;
  return absl::OkStatus();
}

absl::StatusOr<GlooMesh::Message> GlooMesh::Receive(const Call& call, int from) {
  Peer& peer = impl_->peer(from);
  Buffer& buffer = peer.receive[peer.next_receive()];
  if (!peer.holds_message) {
    FACET_RETURN_IF_ERROR(impl_->Await(call, peer, buffer, /*receive=*/true));
    peer.holds_message = true;
  }
  WireHeader wire;
  std::memcpy(&wire, buffer.data(), sizeof(wire));
  if (wire.magic != kMagic || wire.header.payload_bytes > impl_->options.max_payload_bytes) {
    return absl::FailedPreconditionError(
        absl::StrCat("rank ", from, " does not speak this protocol"));
  }
  return Message{wire.header, buffer.data() + kHeaderBytes};
}

void GlooMesh::Release(int from) {
  Peer& peer = impl_->peer(from);
  if (!peer.holds_message) return;
  peer.holds_message = false;
  Buffer& buffer = peer.receive[peer.next_receive()];
  ++peer.received;
  try {
    buffer.PostReceive(from, kDataSlot);
  } catch (const std::exception&) {
    // The connection has gone; the next call that needs it says so.
  }
}

std::vector<int> GlooMesh::Missing(const std::vector<int>& ranks) {
  std::vector<int> missing;
  for (const int rank : ranks) {
    Peer& peer = impl_->peer(rank);
    if (peer.holds_message) continue;
    try {
      peer.holds_message =
          impl_->WaitFor(peer.receive[peer.next_receive()], /*receive=*/true, Clock::now());
    } catch (const std::exception&) {
    }
    if (!peer.holds_message) missing.push_back(rank);
  }
  return missing;
}

// Waiting ----------------------------------------------------------------------------------------

bool GlooMesh::Impl::WaitFor(Buffer& buffer, bool receive, Clock::time_point deadline) {
  TransportBuffer& handle = buffer.handle();
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (interrupted) return false;
    waiting = &handle;
    waiting_to_receive = receive;
    waiting_until = deadline;
    woken = false;
  }
  // A wake-up that comes too late leaves a flag at the buffer, which ends its next wait early; so
  // false is always looked into.
  const auto disarm = [&] {
    std::lock_guard<std::mutex> lock(mutex);
    waiting = nullptr;
  };
  try {
    const bool complete = receive ? handle.waitRecv(kNever) : handle.waitSend(kNever);
    disarm();
    return complete;
  } catch (...) {
    disarm();
    throw;
  }
}

absl::Status GlooMesh::Impl::Await(const Call& call, Peer& from, Buffer& buffer, bool receive) {
  try {
    for (;;) {
      if (WaitFor(buffer, receive, call.deadline)) return absl::OkStatus();
      {
        std::lock_guard<std::mutex> lock(mutex);
        if (interrupted) return absl::CancelledError("interrupted");
      }
      FACET_RETURN_IF_ERROR(CheckPeers(/*may_leave=*/true));
      if (from.gone) return WhyGone(from, "the connection ended within a message");
      if (Clock::now() >= call.deadline) {
        // It may have come in the very moment of the wake-up.
        if (WaitFor(buffer, receive, Clock::now())) return absl::OkStatus();
        return TimeoutError(call, {from.rank});
      }
    }
  } catch (const std::exception& e) {
    return WhyGone(from, e.what());
  }
}

absl::Status GlooMesh::Impl::CheckPeers(bool may_leave) {
  for (const auto& peer : peers) {
    if (peer == nullptr || !peer->gone) continue;
    const absl::Status why = WhyGone(*peer, "its connection ended");
    if (!may_leave || peer->notice.kind != Notice::kLeft) return why;
  }
  return absl::OkStatus();
}

absl::Status GlooMesh::Impl::WhyGone(Peer& peer, const std::string& detail) {
  WireNotice& notice = peer.notice;
  if (notice.kind == 0) {
    try {
      // Has come, or never will: a notice is sent before the connection is closed.
      peer.notice_in.handle().waitRecv(std::chrono::milliseconds(1));
      std::memcpy(&notice, peer.notice_in.data(), sizeof(notice));
    } catch (const std::exception&) {
    }
  }
  notice.message[sizeof(notice.message) - 1] = '\0';
  switch (notice.kind) {
    case Notice::kLeft:
      return PeerLeftError(peer.rank);
    case Notice::kBroke:
    case Notice::kAborted:
      return PeerBrokeError(peer.rank, notice.kind == Notice::kAborted,
                            static_cast<absl::StatusCode>(notice.code), notice.message);
    default:
      return PeerDiedError(peer.rank, detail);
  }
}

void GlooMesh::Impl::Watch() {
  std::unique_lock<std::mutex> lock(mutex);
  while (!stopping.wait_for(lock, kLookInterval, [this] { return stop; })) {
    if (waiting == nullptr) continue;
    if (LookForLostPeers() || Clock::now() >= waiting_until) Wake();
  }
}

bool GlooMesh::Impl::LookForLostPeers() {
  bool lost = false;
  for (const auto& peer : peers) {
    if (peer == nullptr || peer->gone) continue;
    try {
      // Returns at once: either the flag that is set here ends the wait, or the exception that the
      // end of the connection left.
      peer->silent.handle().abortWaitRecv();
      peer->silent.handle().waitRecv(kNever);
    } catch (const std::exception&) {
      peer->gone = true;
      lost = true;
    }
  }
  return lost;
}

void GlooMesh::Interrupt() {
  std::lock_guard<std::mutex> lock(impl_->mutex);
  impl_->interrupted = true;
  impl_->Wake();
}

// Closing ----------------------------------------------------------------------------------------

void GlooMesh::Close(const Notice& notice) {
  if (impl_->closed) return;
  impl_->closed = true;
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    impl_->interrupted = false;  // what follows is bounded by itself
  }
  WireNotice wire = {};
  wire.kind = notice.kind;
  wire.code = static_cast<int32_t>(notice.reason.code());
  const absl::string_view message =
      absl::string_view(notice.reason.message()).substr(0, sizeof(wire.message) - 1);
  std::memcpy(wire.message, message.data(), message.size());
  std::vector<Peer*> told;
  for (const auto& peer : impl_->peers) {
    if (peer == nullptr) continue;
    std::memcpy(peer->notice_out.data(), &wire, sizeof(wire));
    try {
      peer->notice_out.handle().send(peer->rank, kNoticeSlot, 0, sizeof(wire));
      told.push_back(peer.get());
    } catch (const std::exception&) {
    }
  }
  const auto deadline = Clock::now() + kNoticeLimit;
  for (Peer* peer : told) {
    try {
      impl_->WaitFor(peer->notice_out, /*receive=*/false, deadline);
      // A peer that leaves too has received all that we sent before.
      if (notice.kind == Notice::kLeft) impl_->WaitFor(peer->notice_in, /*receive=*/true, deadline);
    } catch (const std::exception&) {
    }
  }
  for (const auto& peer : impl_->peers) {
    if (peer != nullptr) impl_->context->getPair(peer->rank).reset();
  }
}

}  // namespace facet
