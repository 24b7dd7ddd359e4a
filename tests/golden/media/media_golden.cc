#include "tests/golden/media/media_golden.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace facet::testing {

absl::StatusOr<MediaGolden> MediaGolden::Load(const std::string& model_dir) {
  FACET_ASSIGN_OR_RETURN(SafetensorsFile file,
                         SafetensorsFile::Open(absl::StrCat(model_dir, "/expected.safetensors")));
  return MediaGolden(std::move(file));
}

const SafetensorsEntry* MediaGolden::Find(const std::string& name) const {
  for (const SafetensorsEntry& entry : file_.entries()) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

bool MediaGolden::Has(const std::string& name) const { return Find(name) != nullptr; }

absl::StatusOr<ExpectedRows> MediaGolden::Rows(const std::string& name) const {
  const SafetensorsEntry* const entry = Find(name);
  if (entry == nullptr || entry->dtype != "F32" || entry->shape.size() != 2) {
    return absl::NotFoundError(absl::StrCat("no float32 matrix ", name));
  }
  ExpectedRows out;
  out.rows = entry->shape[0];
  out.cols = entry->shape[1];
  out.values.resize(static_cast<size_t>(out.rows * out.cols));
  std::memcpy(out.values.data(), file_.bytes(*entry).data(), out.values.size() * sizeof(float));
  return out;
}

absl::StatusOr<std::vector<uint8_t>> MediaGolden::Bytes(const std::string& name) const {
  const SafetensorsEntry* const entry = Find(name);
  if (entry == nullptr) return absl::NotFoundError(absl::StrCat("no tensor ", name));
  const auto bytes = file_.bytes(*entry);
  return std::vector<uint8_t>(bytes.begin(), bytes.end());
}

absl::StatusOr<std::vector<uint8_t>> ReadBytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  return std::vector<uint8_t>(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

float LargestDifference(const std::vector<float>& got, const std::vector<float>& want) {
  if (got.size() != want.size()) return std::numeric_limits<float>::infinity();
  float largest = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const float difference = std::abs(got[i] - want[i]);
    if (!(difference <= largest)) largest = difference;  // a NaN stays
  }
  return largest;
}

}  // namespace facet::testing
