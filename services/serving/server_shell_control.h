#ifndef FACET_SERVICES_SERVING_SERVER_SHELL_CONTROL_H_
#define FACET_SERVICES_SERVING_SERVER_SHELL_CONTROL_H_

// What the two halves of ServerShell share: server_shell.cc (the life of the server) and
// server_shell_drain.cc (its end). For those two alone.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/serving/server_shell.h"

namespace facet {

struct ServerShell::Control {
  std::mutex mutex;
  std::condition_variable changed;
  std::thread thread;
  bool main_is_waiting = false;
  bool stopping = false;  // readiness is off for good
  bool abort_told = false;
  std::optional<int> exit_status;
  absl::Status failure;
  std::vector<std::function<void(absl::Time)>> on_drain;
  std::vector<std::function<void()>> on_abort;
  std::vector<std::function<bool()>> drain_until;
};

}  // namespace facet

#endif  // FACET_SERVICES_SERVING_SERVER_SHELL_CONTROL_H_
