#ifndef FACET_ROUTER_PROMPT_BUILDER_H_
#define FACET_ROUTER_PROMPT_BUILDER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/facet/v1/generation.pb.h"
#include "router/served_model.h"

namespace facet {

// Turns a prompt into token ids. Thread-safe.
class PromptBuilder {
 public:
  // `model` must outlive the builder.
  explicit PromptBuilder(const ServedModel* model) : model_(model) {}

  // The ids of a prompt that RequestValidator::ValidatePrompt accepts. Token ids are taken as they
  // are. Text is encoded; unless add_bos is false, the beginning-of-sequence token is put in front
  // of it if it does not begin with one (text that only looks like one, without parse_special, is
  // plain text and gets one too).
  //
  // InvalidArgument    the text yields a token that the model does not have
  // FailedPrecondition add_bos is true, but the checkpoint names no such token
  absl::StatusOr<std::vector<int32_t>> Build(const v1::Prompt& prompt) const;

  // The same for bare text. The model must have a tokenizer.
  absl::StatusOr<std::vector<int32_t>> Encode(const std::string& text, bool parse_special,
                                              bool add_bos) const;

 private:
  const ServedModel* const model_;
};

}  // namespace facet

#endif  // FACET_ROUTER_PROMPT_BUILDER_H_
