#include "shard/collective/testing/child_process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace facet {
namespace {

constexpr int kCannotStart = 127;

// In the child. False if the parent is gone already.
bool DieWithParent(pid_t parent) {
  return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
}

}  // namespace

ChildProcess ChildProcess::Fork(const std::function<int()>& body) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  FACET_CHECK(pid >= 0) << "fork: " << std::strerror(errno);
  if (pid == 0) _exit(DieWithParent(parent) ? body() : kCannotStart);
  return ChildProcess(pid);
}

ChildProcess ChildProcess::Exec(const std::vector<std::string>& command_line,
                                const std::function<bool()>& in_child) {
  // Built before the fork: only async-signal-safe calls after it.
  std::vector<char*> argv;
  for (const std::string& word : command_line) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  FACET_CHECK(pid >= 0) << "fork: " << std::strerror(errno);
  if (pid == 0) {
    if (DieWithParent(parent) && (in_child == nullptr || in_child())) execvp(argv[0], argv.data());
    _exit(kCannotStart);
  }
  return ChildProcess(pid);
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  Signal(SIGKILL);
  Wait();
}

void ChildProcess::Signal(int signal) const {
  FACET_CHECK(pid_ > 0) << "no process";
  kill(pid_, signal);
}

int ChildProcess::Wait() {
  FACET_CHECK(pid_ > 0) << "no process";
  int state = 0;
  while (waitpid(pid_, &state, 0) < 0) FACET_CHECK(errno == EINTR) << std::strerror(errno);
  pid_ = -1;
  return WIFSIGNALED(state) ? -WTERMSIG(state) : WEXITSTATUS(state);
}

}  // namespace facet
