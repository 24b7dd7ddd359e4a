// The end of a server: the thread that waits for signals and failures, and what it does then.

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "base/log.h"
#include "services/serving/event_pipe.h"
#include "services/serving/server_shell.h"
#include "services/serving/server_shell_control.h"

namespace facet {
namespace {

// After its cancellation a call gets this long before the process ends without it.
constexpr absl::Duration kCancelSlack = absl::Seconds(5);
// The same after a second signal: whoever sends it wants out.
constexpr absl::Duration kSecondSignalSlack = absl::Seconds(2);

constexpr absl::Duration kDrainPoll = absl::Milliseconds(20);

}  // namespace

void ServerShell::RunControl() {
  for (;;) {
    const std::optional<ServerEvent> event = events_->Receive(absl::InfiniteFuture());
    if (!event) continue;
    if (*event == ServerEvent::kQuit) return;
    if (*event == ServerEvent::kSignal && StillStarting()) {
      FACET_LOG(Info) << "asked to stop while starting";
      TellAbort();
      std::_Exit(0);
    }
    if (*event == ServerEvent::kFail) return EndAfterFailure();
    return EndAfterStop();
  }
}

bool ServerShell::StillStarting() const {
  std::lock_guard<std::mutex> lock(control_->mutex);
  return !control_->main_is_waiting;
}

void ServerShell::EndAfterStop() {
  const absl::Time deadline = absl::Now() + options_.grace_period;
  std::vector<std::function<void(absl::Time)>> on_drain;
  {
    std::lock_guard<std::mutex> lock(control_->mutex);
    control_->stopping = true;
    SetAllHealthLocked(false);
    on_drain = control_->on_drain;
  }
  FACET_LOG(Info) << "draining for at most " << absl::FormatDuration(options_.grace_period);
  for (const auto& callback : on_drain) callback(deadline);
  const absl::Time delay_end = std::min(absl::Now() + options_.drain_delay, deadline);
  while (absl::Now() < delay_end || (absl::Now() < deadline && !Drained())) {
    const std::optional<ServerEvent> event = events_->Receive(absl::Now() + kDrainPoll);
    if (!event) continue;
    if (*event == ServerEvent::kQuit) return;
    if (*event == ServerEvent::kFail) return EndAfterFailure();
    if (*event == ServerEvent::kSignal) {
      FACET_LOG(Warning) << "second signal: running calls are cancelled";
      TellAbort();
      ShutDownServer(absl::Now());
      return Finish(1);
    }
  }
  const bool orderly = ShutDownServer(deadline);
  Finish(orderly ? 0 : 1);
}

bool ServerShell::Drained() const {
  std::vector<std::function<bool()>> conditions;
  {
    std::lock_guard<std::mutex> lock(control_->mutex);
    conditions = control_->drain_until;
  }
  return std::all_of(conditions.begin(), conditions.end(), [](const auto& done) { return done(); });
}

void ServerShell::EndAfterFailure() {
  TellAbort();
  ShutDownServer(absl::Now() + options_.failure_linger);
  Finish(1);
}

bool ServerShell::ShutDownServer(absl::Time deadline) {
  grpc::Server* server = nullptr;
  {
    std::lock_guard<std::mutex> lock(control_->mutex);
    server = server_.get();
  }
  std::thread shutdown([this, server, deadline] {
    if (server != nullptr) server->Shutdown(absl::ToChronoTime(deadline));
    events_->Send(ServerEvent::kServerDown);
  });
  bool orderly = true;
  bool grace_over = false;
  absl::Time limit = deadline;
  for (;;) {
    const std::optional<ServerEvent> event = events_->Receive(limit);
    if (!event && grace_over) {
      FACET_LOG(Error) << "a call does not heed its cancellation: ending without it";
      std::_Exit(1);
    }
    if (!event) {
      FACET_LOG(Warning) << "the time is over: what still runs is cancelled";
      grace_over = true;
      TellAbort();
      limit = absl::Now() + kCancelSlack;
    } else if (*event == ServerEvent::kServerDown) {
      break;
    } else if (*event != ServerEvent::kStop) {
      if (*event == ServerEvent::kSignal)
        FACET_LOG(Warning) << "second signal: running calls are cancelled";
      orderly = false;
      grace_over = true;
      TellAbort();
      limit = std::min(limit, absl::Now() + kSecondSignalSlack);
    }
  }
  shutdown.join();
  return orderly;
}

void ServerShell::TellAbort() {
  std::vector<std::function<void()>> callbacks;
  {
    std::lock_guard<std::mutex> lock(control_->mutex);
    if (control_->abort_told) return;
    control_->abort_told = true;
    callbacks = control_->on_abort;
  }
  for (const auto& callback : callbacks) callback();
}

void ServerShell::Finish(int exit_status) {
  std::lock_guard<std::mutex> lock(control_->mutex);
  control_->exit_status = exit_status;
  control_->changed.notify_all();
}

}  // namespace facet
