#include "tests/testing/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

extern char** environ;

namespace facet::testing {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(5);

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (std::string& s : strings) out.push_back(s.data());
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> MergedEnvironment(const std::vector<std::string>& added) {
  std::map<std::string, std::string> variables;
  auto add = [&](const std::string& entry) { variables[entry.substr(0, entry.find('='))] = entry; };
  for (char** e = environ; *e != nullptr; ++e) add(*e);
  for (const std::string& entry : added) add(entry);
  std::vector<std::string> out;
  for (auto& [name, entry] : variables) out.push_back(entry);
  return out;
}

// Between fork and exec: only calls that are safe there.
[[noreturn]] void RunChild(char* const* argv, char* const* env, int output_fd, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  dup2(output_fd, STDOUT_FILENO);
  dup2(output_fd, STDERR_FILENO);
  const int null_fd = open("/dev/null", O_RDONLY);
  if (null_fd >= 0) dup2(null_fd, STDIN_FILENO);
  close_range(3, ~0u, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  execve(argv[0], argv, env);
  _exit(127);
}

// Connected to 127.0.0.1:port, or -1.
int Connect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    timeval limit{10, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return fd;
  }
  if (fd >= 0) close(fd);
  return -1;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(Options options) {
  if (options.argv.empty() || access(options.argv[0].c_str(), X_OK) != 0) {
    return absl::NotFoundError(
        absl::StrCat("no program ", options.argv.empty() ? "given" : options.argv[0]));
  }
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return absl::InternalError(std::strerror(errno));
  std::vector<std::string> environment = MergedEnvironment(options.environment);
  const std::vector<char*> argv = Pointers(options.argv);
  const std::vector<char*> env = Pointers(environment);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) RunChild(argv.data(), env.data(), fds[1], parent);
  close(fds[1]);
  if (pid < 0) {
    close(fds[0]);
    return absl::InternalError(std::strerror(errno));
  }
  return std::unique_ptr<ChildProcess>(new ChildProcess(pid, fds[0]));
}

ChildProcess::ChildProcess(pid_t pid, int output_fd) : pid_(pid), output_fd_(output_fd) {
  reader_ = std::thread([this] { ReadOutput(); });
}

ChildProcess::~ChildProcess() {
  Signal(SIGKILL);
  (void)WaitForExit(absl::Seconds(10));
  reader_.join();
  close(output_fd_);
}

void ChildProcess::ReadOutput() {
  char buffer[4096];
  for (;;) {
    // A grandchild could keep the pipe open: the end of the child is the end of its output.
    pollfd waiting{output_fd_, POLLIN, 0};
    const int ready = poll(&waiting, 1, 100);
    std::unique_lock<std::mutex> lock(mutex_);
    if (ready == 0 && ReapLocked()) break;
    if (ready <= 0) continue;
    lock.unlock();
    const ssize_t n = read(output_fd_, buffer, sizeof(buffer));
    lock.lock();
    if (n <= 0) break;
    output_.append(buffer, static_cast<size_t>(n));
    changed_.notify_all();
  }
  std::lock_guard<std::mutex> lock(mutex_);
  output_ended_ = true;
  changed_.notify_all();
}

void ChildProcess::Signal(int signal) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!ReapLocked()) kill(pid_, signal);
}

bool ChildProcess::ReapLocked() {
  if (reaped_) return true;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return false;
  reaped_ = true;
  exit_status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return true;
}

absl::StatusOr<int> ChildProcess::WaitForExit(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  std::unique_lock<std::mutex> lock(mutex_);
  while (!ReapLocked()) {
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("process ", pid_, " still runs after ",
                                                      absl::FormatDuration(timeout), "\n",
                                                      LastLinesLocked()));
    }
    changed_.wait_for(lock, kPoll);
  }
  return exit_status_;
}

bool ChildProcess::HasExited() {
  std::lock_guard<std::mutex> lock(mutex_);
  return ReapLocked();
}

std::string ChildProcess::Output() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return output_;
}

std::string ChildProcess::LastLinesLocked() const {
  constexpr size_t kMost = 4000;
  return output_.size() <= kMost ? output_ : output_.substr(output_.size() - kMost);
}

absl::Status ChildProcess::WaitForOutput(const std::string& text, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  std::unique_lock<std::mutex> lock(mutex_);
  while (output_.find(text) == std::string::npos) {
    if (output_ended_) {
      return absl::AbortedError(
          absl::StrCat("ended without printing '", text, "'\n", LastLinesLocked()));
    }
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("did not print '", text, "' within ",
                                                      absl::FormatDuration(timeout), "\n",
                                                      LastLinesLocked()));
    }
    changed_.wait_for(lock, kPoll);
  }
  return absl::OkStatus();
}

std::string BinaryPath(const std::string& path_from_root) {
  const char* source_dir = std::getenv("TEST_SRCDIR");
  const char* workspace = std::getenv("TEST_WORKSPACE");
  if (source_dir == nullptr || workspace == nullptr) return path_from_root;
  return absl::StrCat(source_dir, "/", workspace, "/", path_from_root);
}

std::string MakeTestDir() {
  const char* base = std::getenv("TEST_TMPDIR");
  std::string path = absl::StrCat(base != nullptr ? base : "/tmp", "/facet.XXXXXX");
  return mkdtemp(path.data()) != nullptr ? path : "";
}

absl::StatusOr<ServerPorts> WaitForPorts(const std::string& port_file, absl::Duration timeout,
                                         ChildProcess& process) {
  const absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    const bool ended = process.HasExited();
    if (std::ifstream file(port_file); file) {
      const auto json = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
      ServerPorts ports;
      if (json.is_object()) {
        ports.grpc = json.value("port", 0);
        ports.metrics = json.value("metrics_port", 0);
      }
      if (ports.grpc != 0) return ports;
    }
    const bool late = absl::Now() >= deadline;
    if (ended || late) {
      const std::string message = absl::StrCat(ended ? "ended" : "timed out", " before ", port_file,
                                               " was written\n", process.Output());
      return ended ? absl::AbortedError(message) : absl::DeadlineExceededError(message);
    }
    std::this_thread::sleep_for(kPoll);
  }
}

absl::StatusOr<std::string> HttpGet(int port, const std::string& path) {
  const int fd = Connect(port);
  if (fd < 0) {
    return absl::UnavailableError(absl::StrCat("port ", port, ": ", std::strerror(errno)));
  }
  const std::string request =
      absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  std::string answer;
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
      static_cast<ssize_t>(request.size())) {
    char buffer[4096];
    for (ssize_t n; (n = recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
      answer.append(buffer, static_cast<size_t>(n));
    }
  }
  close(fd);
  const size_t head_end = answer.find("\r\n\r\n");
  if (head_end == std::string::npos) return absl::UnavailableError("no whole answer");
  const std::string status_line = answer.substr(0, answer.find("\r\n"));
  if (status_line.find(" 200 ") == std::string::npos) return absl::UnknownError(status_line);
  return answer.substr(head_end + 4);
}

absl::StatusOr<double> MetricValue(const std::string& page, const std::string& sample) {
  for (absl::string_view line : absl::StrSplit(page, '\n')) {
    double value = 0;
    if (absl::ConsumePrefix(&line, sample) && absl::ConsumePrefix(&line, " ") &&
        absl::SimpleAtod(line, &value)) {
      return value;
    }
  }
  return absl::NotFoundError(absl::StrCat("no sample ", sample));
}

int UnusedPort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  int port = 0;
  if (fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0) {
    port = ntohs(address.sin_port);
  }
  if (fd >= 0) close(fd);
  return port;
}

}  // namespace facet::testing
