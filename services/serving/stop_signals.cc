#include "services/serving/stop_signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "services/serving/event_pipe.h"

namespace facet {
namespace {

std::atomic<int> signal_pipe{-1};

void HandleSignal(int) {
  const int saved = errno;
  const char byte = static_cast<char>(ServerEvent::kSignal);
  const int fd = signal_pipe.load();
  // A full pipe already holds enough to act upon.
  if (fd >= 0 && write(fd, &byte, 1) < 0) {
  }
  errno = saved;
}

}  // namespace

void TakeStopSignals(int fd) {
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

void GiveStopSignalsBack(int fd) {
  int expected = fd;
  if (!signal_pipe.compare_exchange_strong(expected, -1)) return;
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  sigaction(SIGTERM, &standard, nullptr);
  sigaction(SIGINT, &standard, nullptr);
}

}  // namespace facet
