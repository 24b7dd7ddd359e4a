#ifndef FACET_TESTS_GOLDEN_GOLDEN_MODEL_H_
#define FACET_TESTS_GOLDEN_GOLDEN_MODEL_H_

// A checkpoint with what the reference implementation computes from it.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/checkpoint.h"
#include "model/config.h"

namespace facet::testing {

struct GoldenPrompt {
  std::vector<int32_t> ids;
  std::vector<int32_t> greedy;             // the best token after each step, never stopped
  std::vector<std::vector<float>> logits;  // [positions][V], of ids and greedy but its last token

  // ids and greedy but its last token.
  std::vector<int32_t> Path() const;
};

// What the reference implementation itself makes of the prompts in bfloat16.
struct Bfloat16Reference {
  double mean_error = 0;  // of a logit
  double equal_best = 0;  // share of positions with the same best token
};

struct GoldenModel {
  std::string dir;
  std::string name;  // of the folder
  ModelConfig config;
  std::unique_ptr<Checkpoint> checkpoint;
  std::vector<GoldenPrompt> prompts;
  std::optional<Bfloat16Reference> bfloat16;
};

// Reads config.json, the checkpoint, expected.json and expected.safetensors of `dir`. The expected
// files have the form that make_golden.py describes; other tensors in them are ignored.
absl::StatusOr<GoldenModel> LoadGoldenModel(const std::string& dir);

}  // namespace facet::testing

#endif  // FACET_TESTS_GOLDEN_GOLDEN_MODEL_H_
