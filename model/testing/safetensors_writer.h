#ifndef FACET_MODEL_TESTING_SAFETENSORS_WRITER_H_
#define FACET_MODEL_TESTING_SAFETENSORS_WRITER_H_

// Small checkpoints for tests. Every function ends the test program if a file cannot be written.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace facet::testing {

struct TensorToWrite {
  std::string name;
  std::string dtype;  // as in the file: "BF16", "F32", "F16", "I64", ...
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;
};

// `values` in row-major order, as many as `shape` holds; Bf16Tensor rounds them.
TensorToWrite F32Tensor(const std::string& name, const std::vector<int64_t>& shape,
                        const std::vector<float>& values);
TensorToWrite Bf16Tensor(const std::string& name, const std::vector<int64_t>& shape,
                         const std::vector<float>& values);

// The bytes of a safetensors file: 8 bytes of header length, `header`, `data`.
std::string SafetensorsBytes(absl::string_view header, absl::string_view data);
// The same with the header that describes `tensors`, whose data are stored in the order given.
std::string SafetensorsBytes(const std::vector<TensorToWrite>& tensors);

void WriteFile(const std::string& path, absl::string_view bytes);
void WriteSafetensors(const std::string& path, const std::vector<TensorToWrite>& tensors);
// One file a key (its name, e.g. "model-00001-of-00002.safetensors") and the index beside them.
void WriteShardedSafetensors(const std::string& dir,
                             const std::map<std::string, std::vector<TensorToWrite>>& shards);

// A new folder for one test.
std::string MakeTestDir();

}  // namespace facet::testing

#endif  // FACET_MODEL_TESTING_SAFETENSORS_WRITER_H_
