#include "services/serving/server_shell.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "services/serving/connection_limits.h"
#include "services/serving/event_pipe.h"
#include "services/serving/metrics_page.h"
#include "services/serving/port_file.h"
#include "services/serving/process_metrics.h"
#include "services/serving/server_shell_control.h"
#include "services/serving/stop_signals.h"

namespace facet {
namespace {

constexpr char kLiveness[] = "liveness";
constexpr char kReadiness[] = "readiness";

void InstallServerPlugins() {
  static const bool installed = [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  (void)installed;
}

}  // namespace

absl::Status ServerShellOptions::Validate() const {
  if (listen.find(':') == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("listen address '", listen, "' is not of the form host:port"));
  }
  if (!metrics_listen.empty() && metrics_listen.find(':') == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("metrics address '", metrics_listen, "' is not of the form host:port"));
  }
  if (grace_period < absl::ZeroDuration() || grace_period > absl::Hours(24)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "grace period is ", absl::FormatDuration(grace_period), "; allowed: 0 to 24h"));
  }
  if (drain_delay < absl::ZeroDuration() || drain_delay > grace_period) {
    return absl::InvalidArgumentError(
        absl::StrCat("drain delay is ", absl::FormatDuration(drain_delay),
                     "; allowed: 0 to the grace period, ", absl::FormatDuration(grace_period)));
  }
  if (max_receive_message_bytes < 1024) {
    return absl::InvalidArgumentError(absl::StrCat("max_receive_message_bytes is ",
                                                   max_receive_message_bytes, "; at least 1024"));
  }
  return absl::OkStatus();
}

ServerShell::ServerShell(ServerShellOptions options)
    : options_(std::move(options)),
      registry_(std::make_shared<prometheus::Registry>()),
      process_metrics_(MakeProcessMetrics()),
      control_(std::make_unique<Control>()) {}

absl::StatusOr<std::unique_ptr<ServerShell>> ServerShell::Create(ServerShellOptions options) {
  FACET_RETURN_IF_ERROR(options.Validate());
  // Debian builds Abseil with its search for deadlocks, which gRPC's locks then pay for.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  std::unique_ptr<ServerShell> shell(new ServerShell(std::move(options)));
  FACET_ASSIGN_OR_RETURN(shell->events_, EventPipe::Create());
  if (!shell->options_.metrics_listen.empty()) {
    FACET_ASSIGN_OR_RETURN(shell->metrics_page_,
                           MetricsPage::Open(shell->options_.metrics_listen,
                                             {shell->registry_, shell->process_metrics_}));
  }
  TakeStopSignals(shell->events_->write_fd());
  ServerShell* const self = shell.get();
  shell->control_->thread = std::thread([self] { self->RunControl(); });
  return shell;
}

ServerShell::~ServerShell() {
  if (control_->thread.joinable()) {
    events_->Send(ServerEvent::kQuit);
    control_->thread.join();
  }
  if (server_) server_->Shutdown(absl::ToChronoTime(absl::Now()));
  if (events_) GiveStopSignalsBack(events_->write_fd());
}

void ServerShell::OnDrain(std::function<void(absl::Time deadline)> callback) {
  std::lock_guard<std::mutex> lock(control_->mutex);
  control_->on_drain.push_back(std::move(callback));
}

void ServerShell::OnAbort(std::function<void()> callback) {
  std::lock_guard<std::mutex> lock(control_->mutex);
  control_->on_abort.push_back(std::move(callback));
}

void ServerShell::DrainUntil(std::function<bool()> done) {
  std::lock_guard<std::mutex> lock(control_->mutex);
  control_->drain_until.push_back(std::move(done));
}

absl::Status ServerShell::Start(const std::vector<grpc::Service*>& services) {
  InstallServerPlugins();
  grpc::ServerBuilder builder;
  builder.AddListeningPort(
      options_.listen,
      options_.credentials ? options_.credentials : grpc::InsecureServerCredentials(), &grpc_port_);
  builder.SetMaxReceiveMessageSize(options_.max_receive_message_bytes);
  builder.SetMaxSendMessageSize(-1);
  if (options_.max_connection_age != absl::InfiniteDuration()) {
    builder.AddChannelArgument(
        GRPC_ARG_MAX_CONNECTION_AGE_MS,
        static_cast<int>(absl::ToInt64Milliseconds(options_.max_connection_age)));
  }
  // Clients that wait long for an answer may ask whether this process still lives.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 100);
  SetConnectionLimits(builder);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server || grpc_port_ == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", options_.listen, " (is the port taken?)"));
  }
  {
    std::lock_guard<std::mutex> lock(control_->mutex);
    server_ = std::move(server);
    SetAllHealthLocked(false);
    SetHealthLocked(kLiveness, control_->failure.ok());
  }
  if (options_.port_file.empty()) return absl::OkStatus();
  return WritePortFile(options_.port_file, grpc_port(), metrics_port());
}

int ServerShell::metrics_port() const { return metrics_page_ ? metrics_page_->port() : 0; }

void ServerShell::SetHealthLocked(const std::string& service, bool serving) {
  if (!server_) return;
  server_->GetHealthCheckService()->SetServingStatus(service, serving);
}

void ServerShell::SetAllHealthLocked(bool serving) {
  SetHealthLocked("", serving);
  SetHealthLocked(kReadiness, serving);
  for (const std::string& service : options_.services) SetHealthLocked(service, serving);
}

void ServerShell::SetServing(bool serving) {
  std::lock_guard<std::mutex> lock(control_->mutex);
  if (!control_->stopping) SetAllHealthLocked(serving);
}

void ServerShell::SetServing(const std::string& service, bool serving) {
  std::lock_guard<std::mutex> lock(control_->mutex);
  if (!control_->stopping) SetHealthLocked(service, serving);
}

void ServerShell::RequestStop() { events_->Send(ServerEvent::kStop); }

void ServerShell::Fail(absl::Status reason) {
  if (reason.ok()) reason = absl::UnknownError("failed without a reason");
  {
    std::lock_guard<std::mutex> lock(control_->mutex);
    if (!control_->failure.ok()) return;
    FACET_LOG(Error) << "this process cannot go on: " << reason;
    control_->failure = std::move(reason);
    control_->stopping = true;
    SetAllHealthLocked(false);
    SetHealthLocked(kLiveness, false);
  }
  events_->Send(ServerEvent::kFail);
}

bool ServerShell::stopping() const {
  std::lock_guard<std::mutex> lock(control_->mutex);
  return control_->stopping;
}

absl::Status ServerShell::failure() const {
  std::lock_guard<std::mutex> lock(control_->mutex);
  return control_->failure;
}

int ServerShell::Wait() {
  std::unique_lock<std::mutex> lock(control_->mutex);
  control_->main_is_waiting = true;
  control_->changed.notify_all();
  control_->changed.wait(lock, [this] { return control_->exit_status.has_value(); });
  server_.reset();  // lets go of the services
  return *control_->exit_status;
}

}  // namespace facet
