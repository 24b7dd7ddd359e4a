#ifndef FACET_SERVICES_SHARD_RANK_PROCESS_H_
#define FACET_SERVICES_SHARD_RANK_PROCESS_H_

#include "services/shard/shard_options.h"

namespace facet {

// The life of one rank's process; returns its exit status.
//
//   1. read configuration and headers, plan memory (printed), refuse what cannot work
//   2. open the ports: alive, not ready
//   3. join the group, or wait for those who join; test the collective
//   4. load this rank's slice of the weights; wait until all ranks have
//   5. ready: the leader serves ShardEngine and runs the steps, the others execute them
//   6. stop: at SIGTERM the leader finishes its requests and tells the others, who then end too
//      (a rank > 0 that gets the signal waits for that, within its grace period)
//
// 0 after an orderly end; 1 when something failed: a rank that is lost takes the whole group along,
// and whoever runs the processes starts all of them anew.
int RunRank(const ShardOptions& options);

}  // namespace facet

#endif  // FACET_SERVICES_SHARD_RANK_PROCESS_H_
