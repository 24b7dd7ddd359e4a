#ifndef FACET_SHARD_GROUP_HOST_IDENTITY_H_
#define FACET_SHARD_GROUP_HOST_IDENTITY_H_

#include <string>

namespace facet {

// Equal for two processes that can share memory by name: they run under one kernel (its boot id)
// and see the same file system at /dev/shm (its device number, which no other mounted one has).
// Host names do not matter: containers of one host may share /dev/shm or not, and this tells them
// apart. A process without /dev/shm is equal to none, not even to itself.
std::string SharedMemoryIdentity();

}  // namespace facet

#endif  // FACET_SHARD_GROUP_HOST_IDENTITY_H_
