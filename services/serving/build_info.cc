#include "services/serving/build_info.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace facet {
namespace {

// FNV-1a over 64-bit words (the tail is padded with zeros and the length takes part).
std::string HashFile(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return "unknown";
  uint64_t hash = 0xcbf29ce484222325u;
  uint64_t length = 0;
  std::vector<uint64_t> words(1 << 15);
  while (file) {
    std::fill(words.begin(), words.end(), 0);
    file.read(reinterpret_cast<char*>(words.data()),
              static_cast<std::streamsize>(words.size() * sizeof(uint64_t)));
    const auto bytes = static_cast<size_t>(file.gcount());
    length += bytes;
    for (size_t i = 0; i < (bytes + 7) / 8; ++i) {
      hash = (hash ^ words[i]) * 0x100000001b3u;
      hash ^= hash >> 29;
    }
  }
  hash = (hash ^ length) * 0x100000001b3u;
  return absl::StrCat(absl::Hex(hash, absl::kZeroPad16));
}

}  // namespace

const char* Version() { return "0.1.0"; }

const std::string& BuildId() {
  static const std::string id = HashFile("/proc/self/exe");
  return id;
}

}  // namespace facet
