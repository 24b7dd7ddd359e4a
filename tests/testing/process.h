#ifndef FACET_TESTS_TESTING_PROCESS_H_
#define FACET_TESTS_TESTING_PROCESS_H_

// Real processes for tests: start them, read what they print, wait for their ports, end them.
//
//   FACET_ASSIGN_OR_RETURN(auto router, ChildProcess::Start({.argv = {
//       BinaryPath("services/router/router"), "--listen=127.0.0.1:0",
//       "--port-file=" + port_file}}));
//   FACET_ASSIGN_OR_RETURN(ServerPorts ports, WaitForPorts(port_file, absl::Seconds(20), *router));

#include <sys/types.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace facet::testing {

// A child with its own process id; killed and reaped when this object goes, or when the thread that
// started it ends (so start it from the test's main thread). Thread-safe.
class ChildProcess {
 public:
  struct Options {
    std::vector<std::string> argv = {};  // argv[0]: path of the executable
    std::vector<std::string> environment =
        {};  // NAME=VALUE, added to (or instead of) the test's own
  };

  // NotFound if argv[0] cannot be executed.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(Options options);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }

  // SIGTERM, SIGKILL, SIGSTOP, SIGCONT, ... No effect once the child has been reaped.
  void Signal(int signal);

  // Its exit status; 128 + n if signal n ended it. DeadlineExceeded, with the end of its output, if
  // it still runs after `timeout`.
  absl::StatusOr<int> WaitForExit(absl::Duration timeout);

  // True once it has ended.
  bool HasExited();

  // What it has printed so far, stdout and stderr together.
  std::string Output() const;

  // Waits until the output holds `text`. DeadlineExceeded, or Aborted if it ended without; both
  // with the end of its output.
  absl::Status WaitForOutput(const std::string& text, absl::Duration timeout);

 private:
  ChildProcess(pid_t pid, int output_fd);
  void ReadOutput();
  bool ReapLocked();
  std::string LastLinesLocked() const;

  const pid_t pid_;
  const int output_fd_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string output_;
  bool output_ended_ = false;
  bool reaped_ = false;
  int exit_status_ = 0;
  std::thread reader_;
};

// Path of a program that the test lists under `data`, by its path from the workspace root.
std::string BinaryPath(const std::string& path_from_root);

// A fresh folder for this test's files.
std::string MakeTestDir();

struct ServerPorts {
  int grpc = 0;
  int metrics = 0;  // 0: the process has no page
  std::string grpc_address() const { return "127.0.0.1:" + std::to_string(grpc); }
};

// Waits until `process` has written `port_file` (flag --port-file of every service). As
// WaitForOutput about errors.
absl::StatusOr<ServerPorts> WaitForPorts(const std::string& port_file, absl::Duration timeout,
                                         ChildProcess& process);

// The body of a page over HTTP/1.1 from 127.0.0.1. Unavailable without a connection; Unknown, with
// the status line, unless the answer is 200.
absl::StatusOr<std::string> HttpGet(int port, const std::string& path);

// The value of one sample of a Prometheus page, named as it stands there up to the blank:
// "facet_kv_pages_used{pool=\"global\"}". NotFound if there is none.
absl::StatusOr<double> MetricValue(const std::string& page, const std::string& sample);

// A port of 127.0.0.1 that nothing listened on a moment ago. Prefer port 0 and a port file.
int UnusedPort();

}  // namespace facet::testing

#endif  // FACET_TESTS_TESTING_PROCESS_H_
