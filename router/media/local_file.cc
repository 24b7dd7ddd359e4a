#include "router/media/local_file.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "router/media/data_url.h"

namespace facet {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

std::string SelfPath(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

// Where the opened file really is; empty: unknown.
std::string RealPath(int fd) {
  char path[PATH_MAX];
  const ssize_t size = readlink(SelfPath(fd).c_str(), path, sizeof(path));
  return size > 0 && size < static_cast<ssize_t>(sizeof(path)) ? std::string(path, size) : "";
}

bool LiesBelow(const std::string& path, const std::vector<std::string>& roots) {
  return std::any_of(roots.begin(), roots.end(), [&](const std::string& root) {
    return absl::StartsWith(path, absl::EndsWith(root, "/") ? root : root + "/");
  });
}

absl::StatusOr<std::string> PathOf(const std::string& url) {
  absl::string_view rest = absl::string_view(url).substr(5);  // "file:", in whatever case
  if (!absl::ConsumePrefix(&rest, "//localhost/") && !absl::ConsumePrefix(&rest, "///")) {
    return absl::InvalidArgumentError("is no file:///path");
  }
  FACET_ASSIGN_OR_RETURN(std::string path, PercentDecode(rest));
  if (path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("has a zero byte in its path");
  }
  return absl::StrCat("/", path);
}

absl::StatusOr<std::string> ReadAll(int fd, int64_t size) {
  std::string out(static_cast<size_t>(size), '\0');
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = read(fd, out.data() + done, out.size() - done);
    if (got < 0) return absl::UnavailableError("the file cannot be read");
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  out.resize(done);
  return out;
}

}  // namespace

absl::StatusOr<std::string> ReadFileUrl(const std::string& url,
                                        const std::vector<std::string>& roots, int64_t max_bytes) {
  if (roots.empty()) {
    return absl::InvalidArgumentError(
        "is a file: this router reads none (--media_file_roots); send the bytes in data");
  }
  FACET_ASSIGN_OR_RETURN(const std::string path, PathOf(url));
  // O_PATH: to look at, without any effect on a device or a pipe.
  const Descriptor found(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (found.get() < 0 || !LiesBelow(RealPath(found.get()), roots)) {
    return absl::InvalidArgumentError("names no file below --media_file_roots");
  }
  struct stat info;
  if (fstat(found.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError("names no plain file");
  }
  if (info.st_size > max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("names a file of ", info.st_size,
                                                   " bytes; at most ", max_bytes,
                                                   " are left of --max_media_bytes"));
  }
  const Descriptor file(open(SelfPath(found.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return absl::InvalidArgumentError("names a file that may not be read");
  return ReadAll(file.get(), info.st_size);
}

}  // namespace facet
