#ifndef FACET_ROUTER_REQUEST_VALIDATOR_H_
#define FACET_ROUTER_REQUEST_VALIDATOR_H_

// Checks every field of a request before anything is computed or queued for it.
//
// Errors: InvalidArgument names the field as the proto does, its value and what is allowed;
// NotFound names the models there are; FailedPrecondition says that text needs a tokenizer.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/facet/v1/generation.pb.h"
#include "router/generation_spec.h"
#include "router/served_model.h"

namespace facet {

// The bounds of the fields, as proto/facet/v1/generation.proto states them.
struct RequestLimits {
  static constexpr int kMaxLogitBiases = 1024;
  static constexpr int kMaxStopStrings = 16;
  static constexpr int kMaxStopBytes = 256;
  static constexpr int kMaxStopTokenIds = 64;
  static constexpr int kMaxTopLogprobs = 20;
  static constexpr int kMaxPriority = 100;
  static constexpr int kMaxCompletions = 16;
  static constexpr int kMaxCacheSaltBytes = 256;

  // Of a prompt given as text: refused before it is tokenized.
  size_t max_prompt_bytes = 4 << 20;
};

// Thread-safe.
class RequestValidator {
 public:
  // `model` must outlive the validator. `random_seed` makes the seeds of requests without one; it
  // may be called from several threads at the same time.
  RequestValidator(const ServedModel* model, RequestLimits limits,
                   std::function<uint64_t()> random_seed = RandomSeed);

  // Everything but the media, which MediaPrompts checks, and the lengths in tokens, which
  // FitToContext does. The tokens of media are suppressed where the model has some.
  absl::StatusOr<GenerationSpec> Validate(const v1::GenerateRequest& request) const;

  // What Chat shares with Generate: of the model's name, `sampling`, `stopping`, `logprobs`, `n`,
  // `cache_salt` and `priority`.
  absl::StatusOr<GenerationSpec> ResolveShared(const v1::ChatRequest& request) const;

  // The pieces of Validate that other calls need too.
  // None for a format that is not set. What the grammar says, the shard group checks.
  absl::StatusOr<std::optional<internal::Grammar>> ResolveFormat(
      const v1::ResponseFormat& format) const;
  absl::Status ValidateModel(const std::string& name) const;
  absl::Status ValidatePrompt(const v1::Prompt& prompt) const;
  // `field` names the text in messages. The empty text is valid.
  absl::Status ValidateText(const std::string& field, const std::string& text) const;
  absl::Status ValidateTokenId(const std::string& field, int64_t id) const;

  // A number that no other request is likely to get.
  static uint64_t RandomSeed();

  const RequestLimits& limits() const { return limits_; }

 private:
  template <typename Request>
  absl::StatusOr<GenerationSpec> Resolve(const Request& request) const;
  absl::Status ResolveSampling(const v1::SamplingParams& params,
                               internal::SamplingSettings* out) const;
  absl::Status ResolveStopping(const v1::StoppingParams& params, GenerationSpec* out) const;

  const ServedModel* const model_;
  const RequestLimits limits_;
  const std::function<uint64_t()> random_seed_;
};

// Checks the lengths against `context_length` (tokens, prompt and completion together) and sets
// spec->stopping.max_tokens where the caller left it open. InvalidArgument, with the numbers, if
//   the prompt alone is longer than the context or leaves no room for a token in it,
//   the prompt and an explicit max_tokens together are longer,
//   min_tokens is more than can be generated.
absl::Status FitToContext(int64_t prompt_tokens, int context_length, GenerationSpec* spec);

// The first half of it, for calls that generate nothing.
absl::Status CheckPromptLength(int64_t prompt_tokens, int context_length);

}  // namespace facet

#endif  // FACET_ROUTER_REQUEST_VALIDATOR_H_
