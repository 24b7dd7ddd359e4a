#include "shard/slicing/testing/released_configs.h"

#include "absl/status/statusor.h"
#include "base/log.h"
#include "model/testing/released_configs.h"

namespace facet::testing {
namespace {

ModelConfig Parse(const std::string& variant) {
  auto config = ParseModelConfig(ReleasedConfig(variant).dump());
  FACET_CHECK(config.ok()) << config.status().ToString();
  return *std::move(config);
}

}  // namespace

ModelConfig E2bConfig() { return Parse("E2B"); }
ModelConfig E4bConfig() { return Parse("E4B"); }
ModelConfig Dense12bConfig() { return Parse("12B"); }
ModelConfig Moe26bConfig() { return Parse("26B-A4B"); }
ModelConfig Dense31bConfig() { return Parse("31B"); }

}  // namespace facet::testing
