#include "model/testing/safetensors_writer.h"

#include <cstdlib>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/dtype.h"
#include "base/log.h"
#include "nlohmann/json.hpp"

namespace facet::testing {
namespace {

using Json = nlohmann::json;

template <typename Element, typename Convert>
std::vector<uint8_t> ToBytes(const std::vector<int64_t>& shape, const std::vector<float>& values,
                             Convert convert) {
  int64_t size = 1;
  for (const int64_t d : shape) size *= d;
  FACET_CHECK(size == static_cast<int64_t>(values.size())) << values.size() << " of " << size;
  std::vector<uint8_t> bytes(values.size() * sizeof(Element));
  for (size_t i = 0; i < values.size(); ++i) {
    const Element element = convert(values[i]);
    std::memcpy(bytes.data() + i * sizeof(Element), &element, sizeof(Element));
  }
  return bytes;
}

}  // namespace

TensorToWrite F32Tensor(const std::string& name, const std::vector<int64_t>& shape,
                        const std::vector<float>& values) {
  return {name, "F32", shape, ToBytes<float>(shape, values, [](float x) { return x; })};
}

TensorToWrite Bf16Tensor(const std::string& name, const std::vector<int64_t>& shape,
                         const std::vector<float>& values) {
  return {name, "BF16", shape, ToBytes<uint16_t>(shape, values, FloatToBf16)};
}

std::string SafetensorsBytes(absl::string_view header, absl::string_view data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes.push_back(static_cast<char>((uint64_t{header.size()} >> (8 * i)) & 0xff));
  }
  return absl::StrCat(bytes, header, data);
}

std::string SafetensorsBytes(const std::vector<TensorToWrite>& tensors) {
  Json header = {{"__metadata__", {{"format", "pt"}}}};
  std::string data;
  for (const TensorToWrite& t : tensors) {
    header[t.name] = {{"dtype", t.dtype},
                      {"shape", t.shape},
                      {"data_offsets", {data.size(), data.size() + t.bytes.size()}}};
    data.append(t.bytes.begin(), t.bytes.end());
  }
  return SafetensorsBytes(header.dump(), data);
}

void WriteFile(const std::string& path, absl::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  FACET_CHECK(!file.fail()) << "cannot write " << path;
}

void WriteSafetensors(const std::string& path, const std::vector<TensorToWrite>& tensors) {
  WriteFile(path, SafetensorsBytes(tensors));
}

void WriteShardedSafetensors(const std::string& dir,
                             const std::map<std::string, std::vector<TensorToWrite>>& shards) {
  Json weight_map = Json::object();
  size_t total_size = 0;
  for (const auto& [file, tensors] : shards) {
    WriteSafetensors(absl::StrCat(dir, "/", file), tensors);
    for (const TensorToWrite& t : tensors) {
      weight_map[t.name] = file;
      total_size += t.bytes.size();
    }
  }
  const Json index = {{"metadata", {{"total_size", total_size}}}, {"weight_map", weight_map}};
  WriteFile(absl::StrCat(dir, "/model.safetensors.index.json"), index.dump());
}

std::string MakeTestDir() {
  const char* root = std::getenv("TEST_TMPDIR");
  std::string dir = absl::StrCat(root == nullptr ? "/tmp" : root, "/facet-XXXXXX");
  FACET_CHECK(mkdtemp(dir.data()) != nullptr) << "cannot make " << dir;
  return dir;
}

}  // namespace facet::testing
