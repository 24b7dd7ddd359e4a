#include "base/log.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace facet::log_internal {
namespace {

char Letter(LogLevel level) { return "IWEF"[static_cast<int>(level)]; }

void WriteAll(const std::string& line) {
  size_t done = 0;
  while (done < line.size()) {
    const ssize_t n = write(STDERR_FILENO, line.data() + done, line.size() - done);
    if (n <= 0) return;
    done += static_cast<size_t>(n);
  }
}

}  // namespace

Line::Line(LogLevel level, const char* file, int line) : level_(level) {
  const char* slash = std::strrchr(file, '/');
  text_ << Letter(level) << ' '
        << absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone()) << ' '
        << getpid() << ' ' << (slash ? slash + 1 : file) << ':' << line << "] ";
}

Line::~Line() {
  text_ << '\n';
  WriteAll(text_.str());
  if (level_ == LogLevel::kFatal) std::abort();
}

}  // namespace facet::log_internal
