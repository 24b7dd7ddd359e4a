#ifndef FACET_MODEL_SAFETENSORS_H_
#define FACET_MODEL_SAFETENSORS_H_

// The safetensors format: 8 bytes (little-endian length of the header), a JSON header, data.
//
//   {"__metadata__": {...}, "NAME": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]},
//   ...}
//
// Offsets count from the end of the header. As the format demands, the tensors cover the data
// without overlap, hole or rest. Source: github.com/huggingface/safetensors, "Format".

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/mapped_file.h"

namespace facet {

// What a header says about one tensor.
struct SafetensorsEntry {
  std::string name;
  std::string dtype;  // as in the file: "BF16", "F32", "I64", ...
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // [begin, end) within the data
  uint64_t end = 0;
};

// The longest header that is read; it holds some 100,000 tensors.
inline constexpr uint64_t kMaxSafetensorsHeaderBytes = uint64_t{16} << 20;

// Parses a header (without the 8 bytes before it) in front of `data_size` bytes of data; entries
// come in the order of their data. InvalidArgument names the tensor that is malformed, of an
// unknown type, not as large as its shape, outside of the data or overlapping another; or the part
// of the data that no tensor covers.
absl::StatusOr<std::vector<SafetensorsEntry>> ParseSafetensorsHeader(absl::string_view header,
                                                                     uint64_t data_size);

// One mapped file whose header has been checked. Thread-safe: immutable.
class SafetensorsFile {
 public:
  // As ParseSafetensorsHeader and MappedFile::Open; messages start with `path`. A file that is
  // shorter than its header says, or that shrinks meanwhile, is refused.
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);

  const std::vector<SafetensorsEntry>& entries() const { return entries_; }
  // Valid as long as this object, or the one it is moved to.
  absl::Span<const uint8_t> bytes(const SafetensorsEntry& entry) const {
    return data_.subspan(entry.begin, entry.end - entry.begin);
  }
  // Hash of the file's size, its header and a few pieces of its data.
  uint64_t fingerprint() const { return fingerprint_; }

 private:
  explicit SafetensorsFile(MappedFile file) : file_(std::move(file)) {}
  absl::Status ReadHeader();

  MappedFile file_;
  std::vector<SafetensorsEntry> entries_;
  absl::Span<const uint8_t> data_;
  uint64_t fingerprint_ = 0;
};

}  // namespace facet

#endif  // FACET_MODEL_SAFETENSORS_H_
