#ifndef FACET_MODEL_MAPPED_FILE_H_
#define FACET_MODEL_MAPPED_FILE_H_

// A regular file mapped read-only for as long as the object lives.

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace facet {

// Movable; the mapping stays where it is. Thread-safe: immutable.
//
// A page of the mapping that the file no longer has ends the process (SIGBUS) when touched.
// ReadAt has no such risk: it is for looking at a file that nobody has vouched for yet.
class MappedFile {
 public:
  // NotFound if there is no such file, InvalidArgument if it is no regular file, Unavailable if the
  // system refuses.
  static absl::StatusOr<MappedFile> Open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  // The whole file, of the size it had when it was opened.
  absl::Span<const uint8_t> bytes() const { return {static_cast<const uint8_t*>(data_), size_}; }

  // Copies `out.size()` bytes from `offset` on. DataLoss if the file ends before that.
  absl::Status ReadAt(uint64_t offset, absl::Span<char> out) const;

  // DataLoss if the file's size is no longer that of bytes().
  absl::Status CheckSize() const;

 private:
  explicit MappedFile(int fd) : fd_(fd) {}

  int fd_ = -1;
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace facet

#endif  // FACET_MODEL_MAPPED_FILE_H_
