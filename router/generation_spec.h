#ifndef FACET_ROUTER_GENERATION_SPEC_H_
#define FACET_ROUTER_GENERATION_SPEC_H_

#include <optional>
#include <string>
#include <vector>

#include "proto/facet/internal/shard_engine.pb.h"

namespace facet {

// What a valid GenerateRequest asks for, with every default resolved; the prompt aside.
struct GenerationSpec {
  // For the shard group, in its wire form. `stopping.max_tokens` is 0 where the caller left it
  // open, until FitToContext (router/request_validator.h) sets it.
  internal::SamplingSettings sampling;
  internal::StoppingSettings stopping;
  std::vector<std::string> stop;  // stop strings: only the router knows text
  std::optional<int> logprobs;    // unset: none; 0: of the chosen tokens; k: and the k likeliest
  std::optional<int> prompt_logprobs;  // the same of the prompt's tokens
  int n = 1;                           // completions
  int priority = 0;
  bool show_special = false;
  std::string cache_salt;
  std::optional<internal::Grammar> grammar;  // of the text; the shard group knows what it can hold
};

}  // namespace facet

#endif  // FACET_ROUTER_GENERATION_SPEC_H_
