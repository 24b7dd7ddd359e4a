#include "services/serving/server_shell.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "services/serving/process_metrics.h"

namespace facet {
namespace {

constexpr char kLiveness[] = "liveness";
constexpr char kReadiness[] = "readiness";
// After its cancellation a call gets this long before the process ends without it.
constexpr absl::Duration kCancelSlack = absl::Seconds(5);
// The same after a second signal: whoever sends it wants out.
constexpr absl::Duration kSecondSignalSlack = absl::Seconds(2);

constexpr absl::Duration kDrainPoll = absl::Milliseconds(20);

// What the control thread reacts to; one byte in a pipe, so that a signal handler may send it.
enum class Event : char {
  kSignal = 's',
  kStop = 'S',
  kFail = 'F',
  kServerDown = 'D',
  kQuit = 'Q',
};

std::atomic<int> signal_pipe{-1};

void HandleSignal(int) {
  const int saved = errno;
  const char byte = static_cast<char>(Event::kSignal);
  const int fd = signal_pipe.load();
  // A full pipe already holds enough to act upon.
  if (fd >= 0 && write(fd, &byte, 1) < 0) {
  }
  errno = saved;
}

void TakeSignals(int fd) {
  signal_pipe.store(fd);
  struct sigaction action {};
  action.sa_handler = HandleSignal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);
}

void GiveSignalsBack(int fd) {
  int expected = fd;
  if (!signal_pipe.compare_exchange_strong(expected, -1)) return;
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  sigaction(SIGTERM, &standard, nullptr);
  sigaction(SIGINT, &standard, nullptr);
}

// Opens a connection to `port` on the IPv4 host of `address` and drops it.
void KnockOn(const std::string& address, int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  const std::string host = address.substr(0, address.rfind(':'));
  if (inet_pton(AF_INET, host.c_str(), &to.sin_addr) != 1 || to.sin_addr.s_addr == INADDR_ANY) {
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  (void)connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to));
  close(fd);
}

void InstallServerPlugins() {
  static const bool installed = [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  (void)installed;
}

void SetChannelArguments(grpc::ServerBuilder& builder) {
  // Two processes on one port would each get some of the calls: refuse instead.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Notices a peer that is gone without a word after 30 s; clients may ping twice a second.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 500);
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

// A pipe of Events: any thread and the signal handler send, the control thread receives.
class ServerShell::EventPipe {
 public:
  static absl::StatusOr<std::unique_ptr<EventPipe>> Create() {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
      return absl::InternalError(absl::StrCat("pipe: ", std::strerror(errno)));
    }
    return std::unique_ptr<EventPipe>(new EventPipe(fds[0], fds[1]));
  }
  ~EventPipe() {
    close(read_fd_);
    close(write_fd_);
  }

  int write_fd() const { return write_fd_; }

  void Send(Event event) {
    const char byte = static_cast<char>(event);
    while (write(write_fd_, &byte, 1) < 0 && errno == EINTR) {
    }
  }

  // nullopt when `deadline` has passed.
  std::optional<Event> Receive(absl::Time deadline) {
    for (;;) {
      char byte = 0;
      const ssize_t n = read(read_fd_, &byte, 1);
      if (n == 1) return static_cast<Event>(byte);
      const absl::Duration left = deadline - absl::Now();
      if (left <= absl::ZeroDuration()) return std::nullopt;
      pollfd waiting{read_fd_, POLLIN, 0};
      const int64_t ms = absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1)));
      poll(&waiting, 1, static_cast<int>(std::min<int64_t>(ms, 60000)));
    }
  }

 private:
  EventPipe(int read_fd, int write_fd) : read_fd_(read_fd), write_fd_(write_fd) {}

  const int read_fd_;
  const int write_fd_;
};

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

ServerShell::ServerShell(ServerShellOptions options)
    : options_(std::move(options)),
      registry_(std::make_shared<prometheus::Registry>()),
      process_metrics_(MakeProcessMetrics()),
      control_(std::make_unique<Control>()) {}

absl::StatusOr<std::unique_ptr<ServerShell>> ServerShell::Create(ServerShellOptions options) {
  FACET_RETURN_IF_ERROR(options.Validate());
  std::unique_ptr<ServerShell> shell(new ServerShell(std::move(options)));
  FACET_ASSIGN_OR_RETURN(shell->events_, EventPipe::Create());
  FACET_RETURN_IF_ERROR(shell->OpenMetricsPage());
  TakeSignals(shell->events_->write_fd());
  ServerShell* const self = shell.get();
  shell->control_->thread = std::thread([self] { self->RunControl(); });
  return shell;
}

ServerShell::~ServerShell() {
  if (control_->thread.joinable()) {
    events_->Send(Event::kQuit);
    control_->thread.join();
  }
  if (server_) server_->Shutdown(absl::ToChronoTime(absl::Now()));
  if (events_) GiveSignalsBack(events_->write_fd());
  CloseMetricsPage();
}

// The page's server looks only every 2 s whether it should end, unless somebody calls.
void ServerShell::CloseMetricsPage() {
  if (!exposer_) return;
  std::atomic<bool> closed{false};
  std::thread caller([this, &closed] {
    while (!closed) {
      KnockOn(options_.metrics_listen, metrics_port_);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  exposer_.reset();
  closed = true;
  caller.join();
}

absl::Status ServerShell::OpenMetricsPage() {
  if (options_.metrics_listen.empty()) return absl::OkStatus();
  try {
    exposer_ = std::make_unique<prometheus::Exposer>(options_.metrics_listen, /*num_threads=*/2);
    exposer_->RegisterCollectable(registry_);
    exposer_->RegisterCollectable(process_metrics_);
    const std::vector<int> ports = exposer_->GetListeningPorts();
    if (!ports.empty()) metrics_port_ = ports.front();
  } catch (const std::exception& e) {
    return absl::UnavailableError(absl::StrCat("cannot serve metrics on ", options_.metrics_listen,
                                               " (is the port taken?): ", e.what()));
  }
  return absl::OkStatus();
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
  SetChannelArguments(builder);
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
  return WritePortFile();
}

absl::Status ServerShell::WritePortFile() const {
  if (options_.port_file.empty()) return absl::OkStatus();
  const std::string temporary = absl::StrCat(options_.port_file, ".", getpid());
  {
    std::ofstream file(temporary, std::ios::trunc);
    file << "{\"port\": " << grpc_port_ << ", \"metrics_port\": " << metrics_port_
         << ", \"pid\": " << getpid() << "}\n";
    file.flush();
    if (!file) return absl::UnavailableError(absl::StrCat("cannot write ", temporary));
  }
  if (std::rename(temporary.c_str(), options_.port_file.c_str()) != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot write ", options_.port_file, ": ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

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

void ServerShell::RequestStop() { events_->Send(Event::kStop); }

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
  events_->Send(Event::kFail);
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

void ServerShell::RunControl() {
  for (;;) {
    const std::optional<Event> event = events_->Receive(absl::InfiniteFuture());
    if (!event) continue;
    if (*event == Event::kQuit) return;
    if (*event == Event::kSignal && StillStarting()) {
      FACET_LOG(Info) << "asked to stop while starting";
      TellAbort();
      std::_Exit(0);
    }
    if (*event == Event::kFail) return EndAfterFailure();
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
    const std::optional<Event> event = events_->Receive(absl::Now() + kDrainPoll);
    if (!event) continue;
    if (*event == Event::kQuit) return;
    if (*event == Event::kFail) return EndAfterFailure();
    if (*event == Event::kSignal) {
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
    events_->Send(Event::kServerDown);
  });
  bool orderly = true;
  bool grace_over = false;
  absl::Time limit = deadline;
  for (;;) {
    const std::optional<Event> event = events_->Receive(limit);
    if (!event && grace_over) {
      FACET_LOG(Error) << "a call does not heed its cancellation: ending without it";
      std::_Exit(1);
    }
    if (!event) {
      FACET_LOG(Warning) << "the time is over: what still runs is cancelled";
      grace_over = true;
      TellAbort();
      limit = absl::Now() + kCancelSlack;
    } else if (*event == Event::kServerDown) {
      break;
    } else if (*event != Event::kStop) {
      if (*event == Event::kSignal)
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
