#include "shard/group/bootstrap.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "shard/collective/gloo_collective.h"
#include "shard/collective/shm_collective.h"
#include "shard/collective/single_collective.h"
#include "shard/group/grpc_store.h"
#include "shard/group/host_identity.h"
#include "shard/group/shard_group_service.h"

namespace facet {
namespace {

constexpr auto kRetryPause = std::chrono::milliseconds(200);
// The leader's answer at its own limit should come before ours is over.
constexpr absl::Duration kAnswerSlack = absl::Seconds(2);
constexpr int kMaxWorldSize = 1024;

std::string RandomSegmentName() {
  std::random_device random;
  const uint64_t number = (uint64_t{random()} << 32) | random();
  return absl::StrCat("/facet-", absl::Hex(number, absl::kZeroPad16));
}

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "localhost";
}

BootstrapOptions WithHost(BootstrapOptions options) {
  if (options.identity.host.empty()) options.identity.host = SharedMemoryIdentity();
  return options;
}

absl::StatusOr<std::unique_ptr<Collective>> ConnectShm(const BootstrapOptions& options,
                                                       const GroupLink& link) {
  ShmCollectiveOptions shm;
  shm.segment_name = link.shm_segment;
  shm.rank = options.identity.rank;
  shm.world_size = options.identity.world_size;
  shm.timeout = options.collective_timeout;
  shm.connect_timeout = options.join_timeout;
  shm.threads_per_rank = options.threads_per_rank;
  return CreateShmCollective(shm);
}

absl::StatusOr<std::unique_ptr<Collective>> ConnectGloo(const BootstrapOptions& options,
                                                        KeyValueStore& store) {
  GlooCollectiveOptions gloo;
  gloo.rank = options.identity.rank;
  gloo.world_size = options.identity.world_size;
  gloo.interface = options.gloo_interface;
  if (gloo.interface.empty()) gloo.hostname = HostName();
  // The store is as new as the leader's process, and a process makes one group.
  gloo.key_prefix = "gloo";
  gloo.timeout = options.collective_timeout;
  gloo.connect_timeout = options.join_timeout;
  return CreateGlooCollective(gloo, store);
}

absl::StatusOr<GroupHandle> Connect(const BootstrapOptions& options, const GroupLink& link,
                                    KeyValueStore& store) {
  GroupHandle group;
  if (link.transport == Transport::kShm) {
    group.transport = "shm";
    FACET_ASSIGN_OR_RETURN(group.collective, ConnectShm(options, link));
  } else {
    group.transport = "gloo";
    FACET_ASSIGN_OR_RETURN(group.collective, ConnectGloo(options, store));
  }
  FACET_RETURN_IF_ERROR(TestCollective(*group.collective));
  return group;
}

std::shared_ptr<grpc::Channel> DialLeader(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // A leader that hangs while we wait for the others.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

internal::JoinRequest MakeJoinRequest(const RankIdentity& identity) {
  internal::JoinRequest request;
  request.set_rank(identity.rank);
  request.set_world_size(identity.world_size);
  request.set_fingerprint(identity.fingerprint);
  request.set_settings(identity.settings);
  request.set_build(identity.build);
  request.set_host(identity.host);
  return request;
}

absl::StatusOr<GroupLink> ParseLink(const internal::JoinResponse& response) {
  if (response.collective() == "shm") return GroupLink{Transport::kShm, response.shm_segment()};
  if (response.collective() == "gloo") return GroupLink{Transport::kGloo, ""};
  return absl::InternalError(
      absl::StrCat("the leader wants an unknown collective '", response.collective(), "'"));
}

// One try to join: as long as it takes for the group to be complete.
absl::StatusOr<GroupLink> AskToJoin(const BootstrapOptions& options,
                                    internal::ShardGroup::Stub& stub) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + options.join_timeout + kAnswerSlack));
  internal::JoinResponse response;
  const grpc::Status status = stub.Join(&context, MakeJoinRequest(options.identity), &response);
  if (status.ok()) return ParseLink(response);
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

absl::StatusOr<GroupLink> AskUntilJoined(const BootstrapOptions& options,
                                         internal::ShardGroup::Stub& stub) {
  const absl::Time deadline = absl::Now() + options.join_timeout;
  absl::Status last;
  for (;;) {
    absl::StatusOr<GroupLink> link = AskToJoin(options, stub);
    if (link.ok() || !absl::IsUnavailable(link.status())) return link;
    if (link.status() != last) {
      last = link.status();
      FACET_LOG(Info) << "waiting for the leader at " << options.leader << ": " << last.message();
    }
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat(
          "rank 0, the leader at ", options.leader, ", did not let rank ", options.identity.rank,
          " in within ", absl::FormatDuration(options.join_timeout), ": ", last.message()));
    }
    std::this_thread::sleep_for(kRetryPause);
  }
}

}  // namespace

absl::Status BootstrapOptions::Validate() const {
  if (identity.world_size < 1 || identity.world_size > kMaxWorldSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("world size is ", identity.world_size, "; allowed: 1 to ", kMaxWorldSize));
  }
  if (identity.rank < 0 || identity.rank >= identity.world_size) {
    return absl::InvalidArgumentError(absl::StrCat("rank is ", identity.rank,
                                                   "; allowed in a group of ", identity.world_size,
                                                   ": 0 to ", identity.world_size - 1));
  }
  if (identity.rank > 0 && leader.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank ", identity.rank, " needs the address of its leader"));
  }
  if (join_timeout <= absl::ZeroDuration() || join_timeout > absl::Hours(24)) {
    return absl::InvalidArgumentError(absl::StrCat("join timeout is ",
                                                   absl::FormatDuration(join_timeout),
                                                   "; allowed: more than 0, up to 24h"));
  }
  if (collective_timeout < absl::Milliseconds(10) || collective_timeout > absl::Hours(1)) {
    return absl::InvalidArgumentError(absl::StrCat("collective timeout is ",
                                                   absl::FormatDuration(collective_timeout),
                                                   "; allowed: 10ms to 1h"));
  }
  return absl::OkStatus();
}

GroupLeader::GroupLeader(const BootstrapOptions& options)
    : options_(WithHost(options)),
      registry_(options_.identity, options_.transport, RandomSegmentName()),
      service_(std::make_unique<ShardGroupService>(&registry_, &store_)) {}

GroupLeader::~GroupLeader() = default;

grpc::Service* GroupLeader::service() { return service_.get(); }

absl::StatusOr<GroupHandle> GroupLeader::Assemble() {
  if (options_.identity.world_size == 1) {
    GroupHandle alone;
    alone.collective = std::make_unique<SingleCollective>();
    alone.transport = "none";
    return alone;
  }
  absl::StatusOr<GroupLink> link = registry_.WaitForAll(absl::Now() + options_.join_timeout);
  if (!link.ok()) return link.status();
  return Connect(options_, *link, store_);
}

void GroupLeader::Abort(absl::Status reason) { registry_.Fail(std::move(reason)); }

absl::StatusOr<GroupHandle> JoinGroup(const BootstrapOptions& given) {
  const BootstrapOptions options = WithHost(given);
  FACET_RETURN_IF_ERROR(options.Validate());
  const std::shared_ptr<grpc::Channel> channel = DialLeader(options.leader);
  const auto stub = internal::ShardGroup::NewStub(channel);
  FACET_ASSIGN_OR_RETURN(const GroupLink link, AskUntilJoined(options, *stub));
  GrpcStore store(channel);
  return Connect(options, link, store);
}

absl::Status TestCollective(Collective& collective) {
  const int world = collective.world_size();
  const int rank = collective.rank();
  const auto wrong = [](const char* operation, size_t i, double got, double want) {
    return absl::InternalError(absl::StrCat("the self-test of the collective failed: ", operation,
                                            ", element ", i, ": ", got, " instead of ", want));
  };
  // Small whole numbers: exact in float32. The size takes more than one piece of any transport.
  constexpr size_t kCount = 100'003;
  std::vector<float> sums(kCount);
  const auto term = [](int r, size_t i) { return static_cast<float>((r + 1) * (i % 251 + 1)); };
  for (size_t i = 0; i < kCount; ++i) sums[i] = term(rank, i);
  FACET_RETURN_IF_ERROR(collective.AllReduceSum(absl::MakeSpan(sums)));
  for (size_t i = 0; i < kCount; ++i) {
    const float want =
        static_cast<float>(world * (world + 1) / 2) * static_cast<float>(i % 251 + 1);
    if (sums[i] != want) return wrong("all-reduce", i, sums[i], want);
  }
  const std::vector<uint8_t> mine(7, static_cast<uint8_t>(rank + 1));
  std::vector<uint8_t> all(mine.size() * static_cast<size_t>(world));
  FACET_RETURN_IF_ERROR(collective.AllGather(mine, absl::MakeSpan(all)));
  for (size_t i = 0; i < all.size(); ++i) {
    const auto want = static_cast<uint8_t>(i / mine.size() + 1);
    if (all[i] != want) return wrong("all-gather", i, all[i], want);
  }
  std::vector<uint8_t> told(11, rank == 0 ? 42 : 0);
  FACET_RETURN_IF_ERROR(collective.Broadcast(absl::MakeSpan(told), 0));
  for (size_t i = 0; i < told.size(); ++i) {
    if (told[i] != 42) return wrong("broadcast", i, told[i], 42);
  }
  return collective.Barrier();
}

}  // namespace facet
