#ifndef FACET_BASE_LOG_H_
#define FACET_BASE_LOG_H_

// Leveled log lines on stderr, one write a line, so that lines of threads never mix:
//
//   FACET_LOG(Info) << "listening on " << address;
//
// The distribution's Abseil has no absl/log yet; this is the small part of it that we need.
// Thread-safe.

#include <sstream>

namespace facet {

enum class LogLevel { kInfo, kWarning, kError, kFatal };

namespace log_internal {

// Collects one line and writes it when destroyed. kFatal then aborts the process.
class Line {
 public:
  Line(LogLevel level, const char* file, int line);
  ~Line();
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  std::ostream& stream() { return text_; }

 private:
  LogLevel level_;
  std::ostringstream text_;
};

}  // namespace log_internal
}  // namespace facet

#define FACET_LOG(level) \
  ::facet::log_internal::Line(::facet::LogLevel::k##level, __FILE__, __LINE__).stream()

// Ends the process with the message when an invariant of this code is broken. Never for input:
// that gets an absl::Status.
#define FACET_CHECK(condition) \
  if (condition) {             \
  } else                       \
    FACET_LOG(Fatal) << "check failed: " #condition " "

#endif  // FACET_BASE_LOG_H_
