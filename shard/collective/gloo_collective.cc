#include "shard/collective/gloo_collective.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/collective/collective_base.h"
#include "shard/collective/gloo_mesh.h"
#include "shard/collective/rank_order_sum.h"
#include "shard/collective/single_collective.h"

namespace facet {
namespace {

// Up to so many bytes that a rank sends in total, one exchange of everything costs less than a
// second round trip.
constexpr size_t kOneExchangeBytes = size_t{128} << 10;

absl::Span<const uint8_t> AsBytes(absl::Span<const float> data) {
  return {reinterpret_cast<const uint8_t*>(data.data()), data.size() * sizeof(float)};
}

// The part of `data` that chunk number `chunk` covers; empty past its end.
absl::Span<const uint8_t> Chunk(absl::Span<const uint8_t> data, size_t chunk, size_t chunk_bytes) {
  const size_t begin = std::min(data.size(), chunk * chunk_bytes);
  return data.subspan(begin, chunk_bytes);
}

void CopyBytes(void* to, const void* from, size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

class GlooRank final : public CollectiveBase {
 public:
  GlooRank(const GlooCollectiveOptions& options, std::unique_ptr<GlooMesh> mesh)
      : CollectiveBase(options.rank, options.world_size, options.connect_timeout),
        chunk_bytes_(options.chunk_bytes),
        mesh_(std::move(mesh)) {
    for (int r = 0; r < options.world_size; ++r) {
      if (r != options.rank) peers_.push_back(r);
    }
  }

  ~GlooRank() override { mesh_->Close({GlooMesh::Notice::kLeft, absl::OkStatus()}); }

 private:
  // What one exchange does: `outgoing(p)` goes to peer p, `incoming_bytes(p)` come from it.
  struct Plan {
    absl::FunctionRef<absl::Span<const uint8_t>(int peer)> outgoing;
    absl::FunctionRef<size_t(int peer)> incoming_bytes;
    size_t largest_bytes;  // over all ranks: the same number of chunks everywhere
    // `offset` bytes into what comes: chunks[r] is rank r's; null for our own.
    absl::FunctionRef<void(size_t offset, absl::Span<const absl::Span<const uint8_t>> chunks)> take;
  };

  absl::Status DoAllReduceSum(const Call& call, absl::Span<float> data) override;
  absl::Status DoAllGather(const Call& call, absl::Span<const uint8_t> mine,
                           absl::Span<uint8_t> all) override;
  absl::Status DoReduceScatterSum(const Call& call, absl::Span<const float> in,
                                  absl::Span<float> out) override;
  absl::Status DoAllToAll(const Call& call, absl::Span<const uint8_t> in,
                          absl::Span<uint8_t> out) override;
  absl::Status DoBroadcast(const Call& call, absl::Span<uint8_t> data) override;
  absl::Status DoBarrier(const Call& call) override;
  void OnBroken(const absl::Status& reason, bool aborted) override;

  // Each rank sends all it has to all, and everyone sums.
  absl::Status AllReduceInOneExchange(const Call& call, absl::Span<float> data);
  // Each rank sums its part, then all collect the parts.
  absl::Status AllReduceByParts(const Call& call, absl::Span<float> data);

  absl::Status Exchange(const Call& call, const Plan& plan);
  absl::Status SendChunk(const Call& call, const Plan& plan, size_t chunk);
  // incoming: by rank; ours is left alone.
  absl::Status ReceiveChunk(const Call& call, const Plan& plan, size_t chunk,
                            absl::Span<absl::Span<const uint8_t>> incoming);
  // Receives from `peer` and checks that it is the message that belongs here.
  absl::StatusOr<absl::Span<const uint8_t>> ReceiveFrom(const Call& call, int peer, size_t chunk,
                                                        size_t bytes);
  // out[i] = sum over the ranks; `mine` stands in for our own chunk.
  void SumChunks(absl::Span<const absl::Span<const uint8_t>> chunks, absl::Span<const float> mine,
                 float* out) const;

  const size_t chunk_bytes_;
  std::vector<int> peers_;
  std::mutex mesh_mutex_;  // held during an operation and while closing
  const std::unique_ptr<GlooMesh> mesh_;
  uint64_t sequence_ = 0;
};

// Operations -------------------------------------------------------------------------------------

absl::Status GlooRank::DoAllReduceSum(const Call& call, absl::Span<float> data) {
  std::lock_guard<std::mutex> lock(mesh_mutex_);
  const bool one_exchange =
      world_size() == 2 || peers_.size() * data.size() * sizeof(float) <= kOneExchangeBytes;
  return one_exchange ? AllReduceInOneExchange(call, data) : AllReduceByParts(call, data);
}

absl::Status GlooRank::AllReduceInOneExchange(const Call& call, absl::Span<float> data) {
  const auto bytes = AsBytes(data);
  return Exchange(
      call, {[&](int) { return bytes; }, [&](int) { return bytes.size(); }, bytes.size(),
             [&](size_t offset, absl::Span<const absl::Span<const uint8_t>> chunks) {
               const auto mine = data.subspan(offset / sizeof(float), chunk_bytes_ / sizeof(float));
               SumChunks(chunks, mine, mine.data());
             }});
}

absl::Status GlooRank::AllReduceByParts(const Call& call, absl::Span<float> data) {
  const size_t part_floats = (data.size() + peers_.size()) / (peers_.size() + 1);  // rounded up
  const auto part = [&](int r) {
    const size_t begin = std::min(data.size(), static_cast<size_t>(r) * part_floats);
    return data.subspan(begin, part_floats);
  };
  const absl::Span<float> mine = part(rank());
  const size_t largest = part_floats * sizeof(float);
  FACET_RETURN_IF_ERROR(
      Exchange(call, {[&](int p) { return AsBytes(part(p)); },
                      [&](int) { return mine.size() * sizeof(float); }, largest,
                      [&](size_t offset, absl::Span<const absl::Span<const uint8_t>> chunks) {
                        const size_t begin = std::min(mine.size(), offset / sizeof(float));
                        const auto here = mine.subspan(begin, chunk_bytes_ / sizeof(float));
                        SumChunks(chunks, here, here.data());
                      }}));
  return Exchange(call, {[&](int) { return AsBytes(mine); },
                         [&](int p) { return part(p).size() * sizeof(float); }, largest,
                         [&](size_t offset, absl::Span<const absl::Span<const uint8_t>> chunks) {
                           for (const int p : peers_) {
                             const auto& chunk = chunks[static_cast<size_t>(p)];
                             CopyBytes(part(p).data() + offset / sizeof(float), chunk.data(),
                                       chunk.size());
                           }
                         }});
}

absl::Status GlooRank::DoReduceScatterSum(const Call& call, absl::Span<const float> in,
                                          absl::Span<float> out) {
  std::lock_guard<std::mutex> lock(mesh_mutex_);
  const auto row = [&](int r) {
    return in.subspan(static_cast<size_t>(r) * out.size(), out.size());
  };
  const size_t bytes = out.size() * sizeof(float);
  return Exchange(call, {[&](int p) { return AsBytes(row(p)); }, [&](int) { return bytes; }, bytes,
                         [&](size_t offset, absl::Span<const absl::Span<const uint8_t>> chunks) {
                           const size_t begin = offset / sizeof(float);
                           SumChunks(chunks,
                                     row(rank()).subspan(begin, chunk_bytes_ / sizeof(float)),
                                     out.data() + begin);
                         }});
}

absl::Status GlooRank::DoAllGather(const Call& call, absl::Span<const uint8_t> mine,
                                   absl::Span<uint8_t> all) {
  std::lock_guard<std::mutex> lock(mesh_mutex_);
  const auto row = [&](int r) { return all.data() + static_cast<size_t>(r) * mine.size(); };
  CopyBytes(row(rank()), mine.data(), mine.size());
  return Exchange(call, {[&](int) { return mine; }, [&](int) { return mine.size(); }, mine.size(),
                         [&](size_t offset, absl::Span<const absl::Span<const uint8_t>> chunks) {
                           for (const int p : peers_) {
                             const auto& chunk = chunks[static_cast<size_t>(p)];
                             CopyBytes(row(p) + offset, chunk.data(), chunk.size());
                           }
                         }});
}

absl::Status GlooRank::DoAllToAll(const Call& call, absl::Span<const uint8_t> in,
                                  absl::Span<uint8_t> out) {
  std::lock_guard<std::mutex> lock(mesh_mutex_);
  const size_t bytes = in.size() / static_cast<size_t>(world_size());
  const auto begin = [&](int r) { return static_cast<size_t>(r) * bytes; };
  CopyBytes(out.data() + begin(rank()), in.data() + begin(rank()), bytes);
  return Exchange(
      call, {[&](int p) { return in.subspan(begin(p), bytes); }, [&](int) { return bytes; }, bytes,
             [&](size_t offset, absl::Span<const absl::Span<const uint8_t>> chunks) {
               for (const int p : peers_) {
                 const auto& chunk = chunks[static_cast<size_t>(p)];
                 CopyBytes(out.data() + begin(p) + offset, chunk.data(), chunk.size());
               }
             }});
}

absl::Status GlooRank::DoBroadcast(const Call& call, absl::Span<uint8_t> data) {
  std::lock_guard<std::mutex> lock(mesh_mutex_);
  FACET_RETURN_IF_ERROR(mesh_->CheckConnections());
  ++sequence_;
  const size_t chunks = std::max<size_t>(1, (data.size() + chunk_bytes_ - 1) / chunk_bytes_);
  for (size_t c = 0; c < chunks; ++c) {
    const auto here = Chunk(data, c, chunk_bytes_);
    if (rank() == call.op.root) {
      for (const int p : peers_) {
        FACET_RETURN_IF_ERROR(mesh_->Send(call, p, {call.op, sequence_, c, here.size()}, here));
      }
    } else {
      FACET_ASSIGN_OR_RETURN(const auto chunk, ReceiveFrom(call, call.op.root, c, here.size()));
      CopyBytes(data.data() + c * chunk_bytes_, chunk.data(), chunk.size());
      mesh_->Release(call.op.root);
    }
  }
  return absl::OkStatus();
}

absl::Status GlooRank::DoBarrier(const Call& call) {
  std::lock_guard<std::mutex> lock(mesh_mutex_);
  return Exchange(
      call, {[](int) { return absl::Span<const uint8_t>(); }, [](int) { return size_t{0}; }, 0,
             [](size_t, absl::Span<const absl::Span<const uint8_t>>) {}});
}

// Exchanges --------------------------------------------------------------------------------------

absl::Status GlooRank::Exchange(const Call& call, const Plan& plan) {
  FACET_RETURN_IF_ERROR(mesh_->CheckConnections());
  ++sequence_;
  const size_t chunks = std::max<size_t>(1, (plan.largest_bytes + chunk_bytes_ - 1) / chunk_bytes_);
  // A chunk goes out when the one before it has come from everyone, and before it is used: the next
  // one travels while we sum. Who has sent chunk c has released chunk c - 2, so with a window of
  // three no rank ever waits to send. Therefore a rank that is stuck is waited for by all others
  // directly, and they name it, not each other.
  static_assert(GlooMesh::kWindow >= 3);
  FACET_RETURN_IF_ERROR(SendChunk(call, plan, 0));
  for (size_t c = 0; c < chunks; ++c) {
    std::vector<absl::Span<const uint8_t>> incoming(static_cast<size_t>(world_size()));
    FACET_RETURN_IF_ERROR(ReceiveChunk(call, plan, c, absl::MakeSpan(incoming)));
    if (c + 1 < chunks) FACET_RETURN_IF_ERROR(SendChunk(call, plan, c + 1));
    plan.take(c * chunk_bytes_, incoming);
    for (const int p : peers_) mesh_->Release(p);
  }
  return absl::OkStatus();
}

absl::Status GlooRank::SendChunk(const Call& call, const Plan& plan, size_t chunk) {
  // Begins with the next rank, so that not all send to rank 0 first.
  for (size_t i = 0; i < peers_.size(); ++i) {
    const int p = peers_[(static_cast<size_t>(rank()) + i) % peers_.size()];
    const auto bytes = Chunk(plan.outgoing(p), chunk, chunk_bytes_);
    FACET_RETURN_IF_ERROR(mesh_->Send(call, p, {call.op, sequence_, chunk, bytes.size()}, bytes));
  }
  return absl::OkStatus();
}

absl::Status GlooRank::ReceiveChunk(const Call& call, const Plan& plan, size_t chunk,
                                    absl::Span<absl::Span<const uint8_t>> incoming) {
  const size_t offset = chunk * chunk_bytes_;
  for (const int p : peers_) {
    const size_t all = plan.incoming_bytes(p);
    const size_t expected = std::min(chunk_bytes_, all - std::min(all, offset));
    FACET_ASSIGN_OR_RETURN(incoming[static_cast<size_t>(p)], ReceiveFrom(call, p, chunk, expected));
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::Span<const uint8_t>> GlooRank::ReceiveFrom(const Call& call, int peer,
                                                                size_t chunk, size_t bytes) {
  auto message = mesh_->Receive(call, peer);
  const bool timed_out = message.status() == TimeoutError(call, {peer});  // not: a peer did
  if (timed_out && call.op.kind != OpKind::kBroadcast) {
    // Others may be missing as well as the one that we happened to wait for.
    const std::vector<int> missing = mesh_->Missing(peers_);
    if (!missing.empty()) return TimeoutError(call, missing);
  }
  FACET_RETURN_IF_ERROR(message.status());
  const GlooMesh::Header& header = message->header;
  if (!(header.op == call.op)) return MismatchError(rank(), call.op, peer, header.op);
  if (header.sequence != sequence_ || header.chunk != chunk || header.payload_bytes != bytes) {
    return absl::FailedPreconditionError(
        absl::StrCat("the ranks disagree: rank ", peer, " is in chunk ", header.chunk, " (",
                     header.payload_bytes, " bytes) of its exchange number ", header.sequence,
                     ", rank ", rank(), " in chunk ", chunk, " (", bytes, " bytes) of number ",
                     sequence_, "; is chunk_bytes the same?"));
  }
  return absl::Span<const uint8_t>(message->payload, bytes);
}

void GlooRank::SumChunks(absl::Span<const absl::Span<const uint8_t>> chunks,
                         absl::Span<const float> mine, float* out) const {
  std::vector<const float*> inputs;
  for (int r = 0; r < world_size(); ++r) {
    inputs.push_back(r == rank()
                         ? mine.data()
                         : reinterpret_cast<const float*>(chunks[static_cast<size_t>(r)].data()));
  }
  RankOrderSum(inputs, mine.size(), out);
}

void GlooRank::OnBroken(const absl::Status& reason, bool aborted) {
  mesh_->Interrupt();
  std::lock_guard<std::mutex> lock(mesh_mutex_);
  mesh_->Close({aborted ? GlooMesh::Notice::kAborted : GlooMesh::Notice::kBroke, reason});
}

}  // namespace

absl::Status GlooCollectiveOptions::Validate() const {
  if (world_size < 1 || world_size > 1024) {
    return absl::InvalidArgumentError(
        absl::StrCat("world_size is ", world_size, ", not in [1, 1024]"));
  }
  if (rank < 0 || rank >= world_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank is ", rank, ", not in [0, ", world_size, ")"));
  }
  if (interface.empty() == hostname.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("needed: one of interface (\"", interface,
                                                   "\") and hostname (\"", hostname, "\")"));
  }
  if (chunk_bytes % 64 != 0 || chunk_bytes < (size_t{4} << 10) ||
      chunk_bytes > (size_t{64} << 20)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "chunk_bytes is ", chunk_bytes, "; needed: a multiple of 64 in [4 KiB, 64 MiB]"));
  }
  for (const absl::Duration limit : {timeout, connect_timeout}) {
    if (limit < absl::Milliseconds(1) || limit > absl::Hours(24)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "timeout or connect_timeout is ", absl::FormatDuration(limit), ", not in [1 ms, 24 h]"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Collective>> CreateGlooCollective(
    const GlooCollectiveOptions& options, KeyValueStore& store) {
  FACET_RETURN_IF_ERROR(options.Validate());
  if (options.world_size == 1) return std::make_unique<SingleCollective>();
  GlooMesh::Options mesh_options;
  mesh_options.rank = options.rank;
  mesh_options.world_size = options.world_size;
  mesh_options.interface = options.interface;
  mesh_options.hostname = options.hostname;
  mesh_options.key_prefix = options.key_prefix;
  mesh_options.max_payload_bytes = options.chunk_bytes;
  FACET_ASSIGN_OR_RETURN(auto mesh,
                         GlooMesh::Connect(mesh_options, store, options.connect_timeout));
  auto collective = std::make_unique<GlooRank>(options, std::move(mesh));
  FACET_RETURN_IF_ERROR(collective->Barrier());
  collective->set_timeout(options.timeout);
  return collective;
}

}  // namespace facet
