#ifndef FACET_SERVICES_SERVING_EVENT_PIPE_H_
#define FACET_SERVICES_SERVING_EVENT_PIPE_H_

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace facet {

// What the control thread of a server reacts to; one byte in a pipe, so that a signal handler may
// send it.
enum class ServerEvent : char {
  kSignal = 's',
  kStop = 'S',
  kFail = 'F',
  kServerDown = 'D',
  kQuit = 'Q',
};

// A pipe of events: any thread and the signal handler send, one thread receives.
class EventPipe {
 public:
  static absl::StatusOr<std::unique_ptr<EventPipe>> Create();
  ~EventPipe();
  EventPipe(const EventPipe&) = delete;
  EventPipe& operator=(const EventPipe&) = delete;

  // For a signal handler: one byte, the event, is to be written to it.
  int write_fd() const { return write_fd_; }

  void Send(ServerEvent event);
  // nullopt when `deadline` has passed.
  std::optional<ServerEvent> Receive(absl::Time deadline);

 private:
  EventPipe(int read_fd, int write_fd) : read_fd_(read_fd), write_fd_(write_fd) {}

  const int read_fd_;
  const int write_fd_;
};

}  // namespace facet

#endif  // FACET_SERVICES_SERVING_EVENT_PIPE_H_
