#ifndef FACET_MODEL_GENERATION_CONFIG_H_
#define FACET_MODEL_GENERATION_CONFIG_H_

// What a checkpoint's generation_config.json says: the sampling defaults of requests that leave
// these settings open, the tokens that end a generation and those that must never be generated.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/config.h"

namespace facet {

// Whatever the file leaves open has the value that the family's model cards recommend for every
// size and use.
struct GenerationConfig {
  bool do_sample = true;            // false: greedy; the settings below do not matter then
  double temperature = 1.0;         // >= 0; 0: greedy
  int top_k = 64;                   // most likely tokens kept; 0: all
  double top_p = 0.95;              // probability mass kept, in (0, 1]; 1: all
  double min_p = 0.0;               // least probability kept, as a part of the best; 0: all
  double repetition_penalty = 1.0;  // > 0; 1: none
  // Sorted, distinct, all below the vocabulary size.
  std::vector<int> eos_token_ids;    // of this file and of config.json together
  std::vector<int> suppress_tokens;  // logits of minus infinity always, greedy included
};

// InvalidArgument names the key, its value and what is allowed.
absl::StatusOr<GenerationConfig> ParseGenerationConfig(absl::string_view json,
                                                       const ModelConfig& model);

// Reads `model_dir`/generation_config.json. Without the file: the defaults above and the end tokens
// of `model`.
absl::StatusOr<GenerationConfig> LoadGenerationConfig(const std::string& model_dir,
                                                      const ModelConfig& model);

}  // namespace facet

#endif  // FACET_MODEL_GENERATION_CONFIG_H_
