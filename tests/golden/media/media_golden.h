#ifndef FACET_TESTS_GOLDEN_MEDIA_MEDIA_GOLDEN_H_
#define FACET_TESTS_GOLDEN_MEDIA_MEDIA_GOLDEN_H_

// What the reference implementation computed of a checkpoint's media (expected.safetensors of
// make_media_golden.py).

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/safetensors.h"

namespace facet::testing {

// A matrix of the file, row by row.
struct ExpectedRows {
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<float> values;
};

class MediaGolden {
 public:
  static absl::StatusOr<MediaGolden> Load(const std::string& model_dir);

  bool Has(const std::string& name) const;
  // A float32 matrix. NotFound if there is none of this name.
  absl::StatusOr<ExpectedRows> Rows(const std::string& name) const;
  // The bytes of any tensor.
  absl::StatusOr<std::vector<uint8_t>> Bytes(const std::string& name) const;

 private:
  explicit MediaGolden(SafetensorsFile file) : file_(std::move(file)) {}
  const SafetensorsEntry* Find(const std::string& name) const;

  SafetensorsFile file_;
};

// A file's bytes, as a caller sends them.
absl::StatusOr<std::vector<uint8_t>> ReadBytes(const std::string& path);

// The largest difference; infinity if the sizes differ.
float LargestDifference(const std::vector<float>& got, const std::vector<float>& want);

}  // namespace facet::testing

#endif  // FACET_TESTS_GOLDEN_MEDIA_MEDIA_GOLDEN_H_
