#ifndef FACET_SHARD_COLLECTIVE_TESTING_CHILD_PROCESS_H_
#define FACET_SHARD_COLLECTIVE_TESTING_CHILD_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace facet {

// A process that lives no longer than this object.
class ChildProcess {
 public:
  // A fork that runs `body` and exits with what it returns. Only while this process has one thread.
  static ChildProcess Fork(const std::function<int()>& body);

  // Starts a program; `in_child` runs in the new process before it, and returns false if it
  // failed.
  static ChildProcess Exec(const std::vector<std::string>& command_line,
                           const std::function<bool()>& in_child = nullptr);

  ChildProcess(ChildProcess&& other) noexcept : pid_(other.pid_) { other.pid_ = -1; }
  ~ChildProcess();  // SIGKILL, if Wait() has not been called

  pid_t pid() const { return pid_; }
  void Signal(int signal) const;
  // The exit code, or minus the signal that ended it.
  int Wait();

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}

  pid_t pid_;  // -1: none
};

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_TESTING_CHILD_PROCESS_H_
