#include "router/group_directory.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"

namespace facet {
namespace {

// How often connections of groups that left are looked at.
constexpr absl::Duration kTendInterval = absl::Seconds(1);

}  // namespace

GroupDirectory::GroupDirectory(Options options, OnChange on_change)
    : options_(std::move(options)),
      on_change_(std::move(on_change)),
      placement_(options_.first_turn) {
  SetAddresses({options_.addresses.fixed.begin(), options_.addresses.fixed.end()});
  if (!options_.addresses.dns.empty()) resolver_ = std::thread([this] { Resolve(); });
  tender_ = std::thread([this] { Tend(); });
}

GroupDirectory::~GroupDirectory() {
  std::map<std::string, std::shared_ptr<ShardClient>> groups;
  std::vector<std::shared_ptr<ShardClient>> leaving;
  Waiters waiters;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (resolver_.joinable()) resolver_.join();
  tender_.join();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    groups.swap(groups_);
    leaving.swap(leaving_);
    waiters.swap(waiters_);
  }
  for (auto& [time, then] : waiters) then(false);
  // A request may hold on to its client for longer, but none calls this directory after this.
  for (auto& [address, group] : groups) group->Stop();
  for (auto& group : leaving) group->Stop();
}

absl::StatusOr<GroupDirectory::Placed> GroupDirectory::Submit(
    const internal::SubmitRequest& request, const std::shared_ptr<ShardSink>& sink,
    const std::set<std::string>& excluded) {
  std::lock_guard<std::mutex> place_lock(place_mutex_);
  std::vector<std::shared_ptr<ShardClient>> groups;
  std::vector<Placement::Candidate> candidates;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [address, group] : groups_) {
      groups.push_back(group);
      candidates.push_back({group->ready() && excluded.count(address) == 0, group->load()});
    }
  }
  absl::Status refusal = absl::UnavailableError(excluded.empty() ? "no shard group is ready"
                                                                 : "no other shard group is ready");
  while (const std::optional<size_t> choice = placement_.Pick(candidates)) {
    absl::StatusOr<uint64_t> id = groups[*choice]->Submit(request, sink);
    if (id.ok()) return Placed{groups[*choice], *id};
    refusal = id.status();
    candidates[*choice].eligible = false;  // lost, or stuck, since we looked
  }
  return refusal;
}

void GroupDirectory::WhenReady(absl::Duration timeout, std::function<void(bool)> then) {
  {
    // The waiter is in the list before readiness is read: no change goes unseen.
    std::lock_guard<std::mutex> lock(mutex_);
    waiters_.emplace(absl::Now() + timeout, std::move(then));
  }
  changed_.notify_all();
  if (ready_groups() > 0) ReleaseWaiters();
}

int GroupDirectory::ready_groups() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return ReadyGroupsLocked();
}

int GroupDirectory::ReadyGroupsLocked() const {
  int ready = 0;
  for (const auto& [address, group] : groups_) ready += group->ready() ? 1 : 0;
  return ready;
}

int GroupDirectory::total_groups() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int>(groups_.size());
}

int GroupDirectory::waiting() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int>(waiters_.size());
}

int GroupDirectory::context_length() const {
  int of_ready = options_.context_length;
  int of_known = options_.context_length;
  bool any_ready = false;
  std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& [address, group] : groups_) {
    const std::optional<internal::EngineInfo> info = group->info();
    if (!info.has_value()) continue;
    of_known = std::min(of_known, info->context_length());
    if (!group->ready()) continue;
    any_ready = true;
    of_ready = std::min(of_ready, info->context_length());
  }
  return any_ready ? of_ready : of_known;
}

GroupMedia GroupDirectory::media() const {
  std::lock_guard<std::mutex> lock(mutex_);
  const bool any_ready = ReadyGroupsLocked() > 0;
  GroupMedia out;
  bool first = true;
  for (const auto& [address, group] : groups_) {
    const std::optional<internal::EngineInfo> info = group->info();
    if (!info.has_value() || (any_ready && !group->ready())) continue;
    if (first) out.dtype = info->dtype();
    if (out.dtype != info->dtype()) out.dtype.clear();
    const int most = info->max_image_tokens();
    if (out.max_image_tokens == 0 || (most != 0 && most < out.max_image_tokens)) {
      out.max_image_tokens = most;
    }
    first = false;
  }
  return out;
}

void GroupDirectory::GroupChanged() {
  int ready = 0;
  {
    std::lock_guard<std::mutex> notify_lock(notify_mutex_);
    int total = 0;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ready = ReadyGroupsLocked();
      total = static_cast<int>(groups_.size());
    }
    on_change_(ready, total);
  }
  if (ready > 0) ReleaseWaiters();
}

void GroupDirectory::ReleaseWaiters() {
  Waiters waiters;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    waiters.swap(waiters_);
  }
  for (auto& [time, then] : waiters) then(true);
}

void GroupDirectory::Tend() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopping_) {
    const absl::Time now = absl::Now();
    Waiters expired;
    while (!waiters_.empty() && waiters_.begin()->first <= now) {
      expired.insert(waiters_.extract(waiters_.begin()));
    }
    std::vector<std::shared_ptr<ShardClient>> gone;
    for (size_t i = 0; i < leaving_.size();) {
      if (leaving_[i]->requests() > 0 || leaving_[i].use_count() > 1) {
        ++i;
        continue;
      }
      gone.push_back(std::move(leaving_[i]));
      leaving_.erase(leaving_.begin() + static_cast<ptrdiff_t>(i));
    }
    if (!expired.empty() || !gone.empty()) {
      lock.unlock();
      for (auto& [time, then] : expired) then(false);
      gone.clear();
      lock.lock();
      continue;
    }
    absl::Time wake = now + kTendInterval;
    if (!waiters_.empty()) wake = std::min(wake, waiters_.begin()->first);
    changed_.wait_for(lock, absl::ToChronoNanoseconds(wake - now));
  }
}

void GroupDirectory::Resolve() {
  std::map<std::string, std::vector<std::string>> found;  // by name; stays when a look-up fails
  std::string last_error;
  for (;;) {
    std::set<std::string> addresses(options_.addresses.fixed.begin(),
                                    options_.addresses.fixed.end());
    std::string error;
    for (const GroupAddresses::DnsName& name : options_.addresses.dns) {
      std::vector<std::string>& known = found[absl::StrCat(name.host, ":", name.port)];
      absl::StatusOr<std::vector<std::string>> now = options_.resolver(name);
      if (now.ok()) {
        known = *std::move(now);
      } else {
        error = std::string(now.status().message());
      }
      addresses.insert(known.begin(), known.end());
    }
    if (error != last_error && !error.empty()) FACET_LOG(Warning) << error;
    last_error = error;
    SetAddresses(addresses);
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait_for(lock, absl::ToChronoNanoseconds(options_.resolve_interval),
                      [this] { return stopping_; });
    if (stopping_) return;
  }
}

void GroupDirectory::SetAddresses(const std::set<std::string>& addresses) {
  bool changed = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (auto it = groups_.begin(); it != groups_.end();) {
      if (addresses.count(it->first) > 0) {
        ++it;
        continue;
      }
      FACET_LOG(Info) << "shard group " << it->first << " has left";
      leaving_.push_back(std::move(it->second));
      it = groups_.erase(it);
      changed = true;
    }
    for (const std::string& address : addresses) {
      if (groups_.count(address) > 0) continue;
      ShardClient::Options client = options_.client;
      client.address = address;
      groups_.emplace(address,
                      std::make_shared<ShardClient>(std::move(client), [this] { GroupChanged(); }));
      changed = true;
    }
  }
  if (changed) GroupChanged();
}

}  // namespace facet
