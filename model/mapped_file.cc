#include "model/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace facet {
namespace {

absl::Status SystemError(int error) {
  const char* message = std::strerror(error);
  return error == ENOENT || error == ENOTDIR ? absl::NotFoundError(message)
                                             : absl::UnavailableError(message);
}

}  // namespace

absl::StatusOr<MappedFile> MappedFile::Open(const std::string& path) {
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return SystemError(errno);
  MappedFile file(fd);
  struct stat info;
  if (fstat(fd, &info) != 0) return SystemError(errno);
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError("not a regular file");
  file.size_ = static_cast<size_t>(info.st_size);
  if (file.size_ == 0) return file;
  void* const data = mmap(nullptr, file.size_, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) return SystemError(errno);
  file.data_ = data;
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, size_);
  if (fd_ >= 0) close(fd_);
}

absl::Status MappedFile::ReadAt(uint64_t offset, absl::Span<char> out) const {
  for (size_t done = 0; done < out.size();) {
    const ssize_t n =
        pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError(errno);
    if (n == 0) {
      return absl::DataLossError(
          absl::StrCat("ends at byte ", offset + done, ", ", offset + out.size(), " needed"));
    }
    done += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::Status MappedFile::CheckSize() const {
  struct stat info;
  if (fstat(fd_, &info) != 0) return SystemError(errno);
  if (static_cast<size_t>(info.st_size) != size_) {
    return absl::DataLossError(absl::StrCat("changed while it was read: ", size_, " bytes before, ",
                                            info.st_size, " now"));
  }
  return absl::OkStatus();
}

}  // namespace facet
