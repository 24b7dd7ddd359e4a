#include "shard/group/join_registry.h"

#include <chrono>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"

namespace facet {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(20);

std::map<std::string, std::string> ParseSettings(const std::string& settings) {
  std::map<std::string, std::string> out;
  for (absl::string_view word : absl::StrSplit(settings, ' ', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> pair = absl::StrSplit(word, absl::MaxSplits('=', 1));
    out.insert(pair);
  }
  return out;
}

std::string ValueOr(const std::map<std::string, std::string>& values, const std::string& name) {
  const auto it = values.find(name);
  return it == values.end() ? "(none)" : it->second;
}

}  // namespace

std::string DescribeDifference(const std::string& ours, const std::string& theirs) {
  const auto our_values = ParseSettings(ours);
  const auto their_values = ParseSettings(theirs);
  auto names = our_values;
  names.insert(their_values.begin(), their_values.end());
  std::vector<std::string> out;
  for (const auto& [name, unused] : names) {
    const std::string our = ValueOr(our_values, name), their = ValueOr(their_values, name);
    if (our != their) out.push_back(absl::StrCat(name, " is ", their, ", the leader's is ", our));
  }
  return absl::StrJoin(out, "; ");
}

JoinRegistry::JoinRegistry(RankIdentity leader, Transport wanted, std::string segment)
    : leader_(std::move(leader)), wanted_(wanted), segment_(std::move(segment)) {
  members_.resize(static_cast<size_t>(leader_.world_size));
  members_[0] = Member{leader_, [] { return false; }, tickets_++};
}

absl::Status JoinRegistry::Check(const RankIdentity& rank) const {
  const auto differs = [&](const std::string& what) {
    return absl::FailedPreconditionError(
        absl::StrCat("rank ", rank.rank, " cannot join: its ", what));
  };
  if (rank.world_size != leader_.world_size) {
    return differs(
        absl::StrCat("world size is ", rank.world_size, ", the leader's is ", leader_.world_size));
  }
  if (rank.rank < 1 || rank.rank >= leader_.world_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank ", rank.rank, " cannot join: ranks are 1 to ", leader_.world_size - 1));
  }
  if (rank.fingerprint != leader_.fingerprint) {
    return differs(absl::StrCat("checkpoint has the fingerprint ", rank.fingerprint,
                                ", the leader's has ", leader_.fingerprint));
  }
  if (rank.settings != leader_.settings) {
    return differs(
        absl::StrCat("settings differ: ", DescribeDifference(leader_.settings, rank.settings)));
  }
  if (rank.build != leader_.build) {
    return differs(absl::StrCat("build is ", rank.build, ", the leader's is ", leader_.build));
  }
  return absl::OkStatus();
}

absl::StatusOr<GroupLink> JoinRegistry::Join(const RankIdentity& rank,
                                             const std::function<bool()>& gone) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (outcome_.has_value()) {
    if (!outcome_->ok()) return outcome_->status();
    return absl::UnavailableError(
        absl::StrCat("the group is complete: another process is rank ", rank.rank, " of it"));
  }
  if (absl::Status status = Check(rank); !status.ok()) {
    SettleLocked(status);
    return status;
  }
  std::optional<Member>& place = members_[static_cast<size_t>(rank.rank)];
  if (place.has_value() && !place->gone()) {
    return absl::AlreadyExistsError(absl::StrCat("rank ", rank.rank, " has joined already"));
  }
  const int64_t ticket = tickets_++;
  place = Member{rank, gone, ticket};
  changed_.notify_all();
  const auto replaced = [&] { return place.has_value() && place->ticket != ticket; };
  while (!replaced() && !changed_.wait_for(lock, kPoll, [&] { return outcome_.has_value(); })) {
    if (replaced() || !gone()) continue;
    place.reset();
    changed_.notify_all();
    return absl::CancelledError(
        absl::StrCat("rank ", rank.rank, " left before the group was complete"));
  }
  if (replaced()) return absl::CancelledError("another process took over this rank");
  return *outcome_;
}

absl::StatusOr<GroupLink> JoinRegistry::WaitForAll(absl::Time deadline) {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!outcome_.has_value()) {
    DropDeadLocked();
    const std::vector<int> missing = MissingLocked();
    if (missing.empty()) {
      SettleLocked(ChooseLinkLocked());
    } else if (absl::Now() >= deadline) {
      SettleLocked(absl::DeadlineExceededError(
          absl::StrCat(missing.size() == 1 ? "rank " : "ranks ", absl::StrJoin(missing, ", "),
                       " of ", leader_.world_size, missing.size() == 1 ? " has" : " have",
                       " not joined within the limit")));
    } else {
      changed_.wait_for(lock, kPoll);
    }
  }
  return *outcome_;
}

void JoinRegistry::Fail(absl::Status reason) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!outcome_.has_value()) SettleLocked(std::move(reason));
}

void JoinRegistry::DropDeadLocked() {
  for (std::optional<Member>& member : members_) {
    if (member.has_value() && member->gone()) member.reset();
  }
}

std::vector<int> JoinRegistry::MissingLocked() const {
  std::vector<int> out;
  for (size_t rank = 0; rank < members_.size(); ++rank) {
    if (!members_[rank].has_value()) out.push_back(static_cast<int>(rank));
  }
  return out;
}

absl::StatusOr<GroupLink> JoinRegistry::ChooseLinkLocked() const {
  int stranger = 0;
  for (const std::optional<Member>& member : members_) {
    if (member->identity.host != leader_.host && stranger == 0) stranger = member->identity.rank;
  }
  if (wanted_ == Transport::kGloo || (wanted_ == Transport::kAuto && stranger != 0)) {
    return GroupLink{Transport::kGloo, ""};
  }
  if (stranger != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "shared memory was asked for, but rank ", stranger,
        " does not see the leader's /dev/shm (another host, or a container with its own)"));
  }
  return GroupLink{Transport::kShm, segment_};
}

void JoinRegistry::SettleLocked(absl::StatusOr<GroupLink> outcome) {
  outcome_ = std::move(outcome);
  changed_.notify_all();
}

}  // namespace facet
