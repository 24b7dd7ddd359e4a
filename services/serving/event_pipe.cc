#include "services/serving/event_pipe.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace facet {

absl::StatusOr<std::unique_ptr<EventPipe>> EventPipe::Create() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
    return absl::InternalError(absl::StrCat("pipe: ", std::strerror(errno)));
  }
  return std::unique_ptr<EventPipe>(new EventPipe(fds[0], fds[1]));
}

EventPipe::~EventPipe() {
  close(read_fd_);
  close(write_fd_);
}

void EventPipe::Send(ServerEvent event) {
  const char byte = static_cast<char>(event);
  while (write(write_fd_, &byte, 1) < 0 && errno == EINTR) {
  }
}

std::optional<ServerEvent> EventPipe::Receive(absl::Time deadline) {
  for (;;) {
    char byte = 0;
    const ssize_t n = read(read_fd_, &byte, 1);
    if (n == 1) return static_cast<ServerEvent>(byte);
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return std::nullopt;
    pollfd waiting{read_fd_, POLLIN, 0};
    const int64_t ms = absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1)));
    poll(&waiting, 1, static_cast<int>(std::min<int64_t>(ms, 60000)));
  }
}

}  // namespace facet
