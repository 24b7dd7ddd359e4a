#include "shard/collective/testing/file_store.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <thread>

#include "absl/strings/str_cat.h"

namespace facet {

std::string FileStore::PathOf(const std::string& key) const {
  std::string name = key;
  std::replace(name.begin(), name.end(), '/', '+');
  return absl::StrCat(folder_, "/", name);
}

absl::Status FileStore::Set(const std::string& key, const std::string& value) {
  // Written aside and renamed, so that nobody reads half of it.
  const std::string path = PathOf(key);
  const std::string aside = absl::StrCat(path, ".part", getpid());
  {
    std::ofstream out(aside, std::ios::binary);
    out << value;
    if (!out.flush()) return absl::InternalError(absl::StrCat("cannot write ", aside));
  }
  if (std::rename(aside.c_str(), path.c_str()) != 0) {
    return absl::InternalError(absl::StrCat("cannot rename ", aside));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> FileStore::Get(const std::string& key, absl::Duration timeout) {
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
  for (;;) {
    std::ifstream in(PathOf(key), std::ios::binary);
    if (in) return std::string(std::istreambuf_iterator<char>(in), {});
    if (std::chrono::steady_clock::now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("nobody set key ", key));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace facet
