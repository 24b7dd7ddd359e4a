#ifndef FACET_SHARD_SLICING_TESTING_RELEASED_CONFIGS_H_
#define FACET_SHARD_SLICING_TESTING_RELEASED_CONFIGS_H_

// The shapes of the released Gemma 4 checkpoints, for tests of arithmetic over them.

#include "model/config.h"

namespace facet::testing {

ModelConfig E2bConfig();
ModelConfig E4bConfig();
ModelConfig Dense12bConfig();  // 12B
ModelConfig Moe26bConfig();    // 26B-A4B
ModelConfig Dense31bConfig();  // 31B

}  // namespace facet::testing

#endif  // FACET_SHARD_SLICING_TESTING_RELEASED_CONFIGS_H_
