#ifndef FACET_MODEL_TESTING_RELEASED_CONFIGS_H_
#define FACET_MODEL_TESTING_RELEASED_CONFIGS_H_

#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace facet::testing {

// "E2B", "E4B", "12B", "26B-A4B", "31B".
const std::vector<std::string>& ReleasedVariants();

// config.json of a published variant, in the dialect of the released files; `vision_config` and
// `audio_config` are only stand-ins for being there.
nlohmann::json ReleasedConfig(const std::string& variant);

}  // namespace facet::testing

#endif  // FACET_MODEL_TESTING_RELEASED_CONFIGS_H_
