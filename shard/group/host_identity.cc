#include "shard/group/host_identity.h"

#include <sys/stat.h>

#include <fstream>
#include <random>

#include "absl/strings/str_cat.h"

namespace facet {

std::string SharedMemoryIdentity() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string boot_id;
  struct stat shm {};
  if (!(file >> boot_id) || stat("/dev/shm", &shm) != 0 || !S_ISDIR(shm.st_mode)) {
    std::random_device random;
    return absl::StrCat("no shared memory here ", random(), "-", random());
  }
  return absl::StrCat("boot ", boot_id, " shm ", shm.st_dev);
}

}  // namespace facet
