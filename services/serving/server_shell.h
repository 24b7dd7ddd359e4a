#ifndef FACET_SERVICES_SERVING_SERVER_SHELL_H_
#define FACET_SERVICES_SERVING_SERVER_SHELL_H_

// What every Facet process has around its services: one gRPC server with health and reflection, a
// Prometheus page, and an orderly end.
//
//   ServerShellOptions options;
//   options.listen = "0.0.0.0:7000";
//   options.services = {facet::v1::Generation::service_full_name()};
//   FACET_ASSIGN_OR_RETURN(auto shell, ServerShell::Create(options));
//   MyMetrics metrics(shell->registry());
//   MyService service(...);                    // must outlive the shell's server: see below
//   FACET_RETURN_IF_ERROR(shell->Start({&service}));
//   ... load what takes long ...
//   shell->SetServing(true);
//   return shell->Wait();                      // the process's exit status
//
// Health (grpc.health.v1), as probes of Kubernetes expect it:
//   "", "readiness"      of the process: the same as that of its services
//   each of `services`   readiness: NOT_SERVING while loading and while draining
//   "liveness"           SERVING from Start() on until Fail(): a restart is called for only when
//                        the process cannot recover. Loading and draining are no reason.
//   any other name       NOT_FOUND
//
// The end. The first SIGTERM or SIGINT (or RequestStop):
//   1. readiness turns NOT_SERVING; the OnDrain callbacks are told (stop admitting new work)
//   2. calls are still taken for `drain_delay`, so that load balancers see the change first, and
//      until every DrainUntil condition holds
//   3. the server says GOAWAY, takes no new calls and waits for the running ones
//   4. Wait() returns 0 when the last call has ended
// When `grace_period` is over, or at a second signal, the OnAbort callbacks are told and what is
// left is cancelled; Wait() still returns 0 after the grace period, and 1 after a second signal.
// A signal before Wait() has been called, that is while the process starts, ends it at once
// (after the OnAbort callbacks) with status 0.
// Fail(): nothing is SERVING, OnAbort is told, running calls get `failure_linger` to bring the bad
// news to their clients, then Wait() returns 1.
// Nothing waits for ever: a call that ignores its cancellation is given up 5 s later; the process
// then ends with status 1 from within.

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "prometheus/registry.h"

namespace facet {

class EventPipe;
class MetricsPage;

struct ServerShellOptions {
  // host:port of the gRPC server; port 0 takes a free one. A port that another process listens on
  // is an error, never shared.
  std::string listen = "127.0.0.1:0";
  // host:port of the page `/metrics` (HTTP); empty: no page.
  std::string metrics_listen;
  // A file that Start() writes once the ports are open, for those who asked for port 0; empty:
  // none. JSON: {"port": N, "metrics_port": N (0: no page), "pid": N}. It appears whole or not at
  // all.
  std::string port_file;
  // Full names of the services whose health is reported beside "".
  std::vector<std::string> services;
  // From the first signal until running calls are cancelled.
  absl::Duration grace_period = absl::Seconds(30);
  // Part of the grace period: see step 2 above.
  absl::Duration drain_delay = absl::ZeroDuration();
  // After Fail().
  absl::Duration failure_linger = absl::Seconds(1);
  // Of one received message; a larger one is RESOURCE_EXHAUSTED. Sent ones are not limited here.
  int max_receive_message_bytes = 16 << 20;
  // Then a connection is given up, once its calls have ended, so that clients look up names anew.
  absl::Duration max_connection_age = absl::InfiniteDuration();
  // null: plain text.
  std::shared_ptr<grpc::ServerCredentials> credentials;

  // InvalidArgument names the field, its value and what is allowed.
  absl::Status Validate() const;
};

// Thread-safe. At most one at a time in a process may use signals (the last one created gets them).
class ServerShell {
 public:
  // Opens the metrics page and takes over SIGTERM and SIGINT; SIGPIPE is ignored from here on.
  // Unavailable if the metrics address cannot be had.
  static absl::StatusOr<std::unique_ptr<ServerShell>> Create(ServerShellOptions options);

  // Shuts the server down at once if Wait() has not done it.
  ~ServerShell();
  ServerShell(const ServerShell&) = delete;
  ServerShell& operator=(const ServerShell&) = delete;

  // Where metrics of this process go; it already holds build and process metrics.
  prometheus::Registry& registry() { return *registry_; }

  // Told once each, from the shell's own thread; they must not block. Set them before Start().
  // OnDrain: admit nothing new and let long-lived streams end when their work has; `deadline` is
  //   the end of the grace period. OnAbort: give up what is running.
  void OnDrain(std::function<void(absl::Time deadline)> callback);
  void OnAbort(std::function<void()> callback);

  // Step 2 lasts until `done` says true (asked from the shell's thread every 20 ms; must not
  // block), or the grace period is over. For servers whose clients keep one stream and probe health
  // beside it: after GOAWAY their probes would fail.
  void DrainUntil(std::function<bool()> done);

  // Opens the port. The services must stay valid until Wait() has returned or the shell is gone.
  // Unavailable if the address cannot be had. Call once.
  absl::Status Start(const std::vector<grpc::Service*>& services);

  // The ports in use: after Start(); of the page: from Create() on. 0: none.
  int grpc_port() const { return grpc_port_; }
  int metrics_port() const;

  // Readiness of the process and all its services, or of one service alone. Ignored while
  // draining and after a failure.
  void SetServing(bool serving);
  void SetServing(const std::string& service, bool serving);

  // Starts the orderly end, as a signal would.
  void RequestStop();

  // The process cannot go on. The first reason counts; it is logged.
  void Fail(absl::Status reason);

  // True from the first signal, RequestStop or Fail on.
  bool stopping() const;

  // Blocks until the server has ended; returns the exit status. Call once, after Start().
  int Wait();

  // The reason given to Fail(), or OK.
  absl::Status failure() const;

 private:
  explicit ServerShell(ServerShellOptions options);
  void SetHealthLocked(const std::string& service, bool serving);
  void SetAllHealthLocked(bool serving);
  void RunControl();
  bool StillStarting() const;
  void EndAfterStop();
  bool Drained() const;
  void EndAfterFailure();
  // Shuts the server down with `deadline`; false if a second signal or a failure cut it short.
  bool ShutDownServer(absl::Time deadline);
  void TellAbort();
  void Finish(int exit_status);

  const ServerShellOptions options_;
  std::shared_ptr<prometheus::Registry> registry_;
  std::shared_ptr<prometheus::Collectable> process_metrics_;
  std::unique_ptr<MetricsPage> metrics_page_;  // null: none
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<EventPipe> events_;
  int grpc_port_ = 0;

  struct Control;
  std::unique_ptr<Control> control_;  // the thread that waits for events, and what it shares
};

}  // namespace facet

#endif  // FACET_SERVICES_SERVING_SERVER_SHELL_H_
