#include "router/media/media_prompts.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "router/media/media_kinds.h"
#include "router/media/media_validator.h"

namespace facet {
namespace {

MediaEncoders::Options OfModel(MediaEncoders::Options options, const ServedModel& model) {
  options.hidden_size = model.config.hidden_size;
  options.fingerprint = model.fingerprint;
  return options;
}

// A step of the groups must hold the soft tokens of an image that see each other both ways.
absl::Status CheckBudget(const ModelConfig& config, const MediaInput& input, int budget,
                         int max_image_tokens) {
  if (!config.bidirectional_vision || max_image_tokens == 0 || budget <= max_image_tokens) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      input.field, ".max_soft_tokens is ", budget, "; the shard group takes images of at most ",
      max_image_tokens, " (its --max_step_tokens less --max_running)"));
}

}  // namespace

absl::Status MediaPrompts::Options::Validate() const {
  if (max_media_bytes < 1 || max_media_bytes > int64_t{1} << 30) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_media_bytes is ", max_media_bytes, "; allowed: 1 to 1073741824"));
  }
  if (image_budget != 0 && !IsImageBudget(image_budget)) {
    return absl::InvalidArgumentError(
        absl::StrCat("image_budget is ", image_budget,
                     "; allowed: 70, 140, 280, 560, 1120; 0 is the checkpoint's"));
  }
  FACET_RETURN_IF_ERROR(encoders.Validate());
  return urls.Validate();
}

MediaPrompts::MediaPrompts(const ServedModel* model, Options options,
                           prometheus::Registry& registry)
    : model_(model),
      options_(std::move(options)),
      metrics_(registry),
      fetcher_(options_.urls, &metrics_),
      encoders_(OfModel(options_.encoders, *model), &metrics_) {}

std::vector<std::string> MediaPrompts::Modalities() const {
  std::vector<std::string> out;
  const std::pair<v1::Media::Kind, const char*> kinds[] = {
      {v1::Media::IMAGE, "image"}, {v1::Media::VIDEO, "video"}, {v1::Media::AUDIO, "audio"}};
  for (const auto& [kind, name] : kinds) {
    if (encoders_.Has(kind) && TokensOf(model_->config, kind).has_value()) out.push_back(name);
  }
  return out;
}

absl::Status MediaPrompts::Validate(const MediaInputs& inputs) const {
  FACET_RETURN_IF_ERROR(ValidateMedia(*model_, options_.max_media_bytes, inputs));
  for (const MediaInput& input : inputs) {
    FACET_RETURN_IF_ERROR(fetcher_.Check(input));
    if (encoders_.Has(input.media->kind())) continue;
    const bool hears = input.media->kind() == v1::Media::AUDIO;
    return absl::FailedPreconditionError(absl::StrCat(
        input.field, ".kind is ", v1::Media::Kind_Name(input.media->kind()),
        "; this router has no ",
        hears ? "audio encoder (--audio_encoders)" : "vision encoder (--vision_encoders)"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ExpandedPrompt> MediaPrompts::Make(std::vector<int32_t> prompt,
                                                  const MediaInputs& inputs,
                                                  const MediaTarget& target) {
  return Expand(std::move(prompt), inputs, target, /*count_only=*/false);
}

absl::StatusOr<ExpandedPrompt> MediaPrompts::Measure(std::vector<int32_t> prompt,
                                                     const MediaInputs& inputs,
                                                     const MediaTarget& target) {
  return Expand(std::move(prompt), inputs, target, /*count_only=*/true);
}

int MediaPrompts::BudgetOf(const v1::Media& media) const {
  const bool by_default = media.max_soft_tokens() == 0 && media.kind() == v1::Media::IMAGE;
  return by_default ? options_.image_budget : media.max_soft_tokens();
}

absl::StatusOr<ExpandedPrompt> MediaPrompts::Expand(std::vector<int32_t> prompt,
                                                    const MediaInputs& inputs,
                                                    const MediaTarget& target, bool count_only) {
  FACET_ASSIGN_OR_RETURN(const std::vector<size_t> order,
                         MatchPlaceholders(model_->config, prompt, inputs));
  ExpandedPrompt out;
  if (order.empty()) {
    out.token_ids = std::move(prompt);
    return out;
  }
  for (const MediaInput& input : inputs) {
    FACET_RETURN_IF_ERROR(
        CheckBudget(model_->config, input, BudgetOf(*input.media), target.max_image_tokens));
  }
  FACET_ASSIGN_OR_RETURN(
      const FetchedMedia fetched,
      fetcher_.Fetch(inputs, options_.max_media_bytes, target.deadline, target.cancelled));
  std::vector<MediaEncoders::Medium> media;
  for (const size_t index : order) {
    const MediaInput& input = fetched.inputs[index];
    media.push_back({input, BudgetOf(*input.media)});
  }
  FACET_ASSIGN_OR_RETURN(
      const std::vector<MediaEncoders::Encoded> encoded,
      encoders_.Encode(media, {target.deadline, target.cancelled, target.dtype, count_only}));

  std::vector<std::shared_ptr<const EncodedMedium>> results;
  for (const MediaEncoders::Encoded& medium : encoded) results.push_back(medium.medium);
  TokenizeText tokenize;
  if (const Tokenizer* const tokenizer = model_->tokenizer.get()) {
    tokenize = [tokenizer](const std::string& text) { return tokenizer->Encode(text, {}); };
  }
  FACET_ASSIGN_OR_RETURN(out, ExpandPrompt(model_->config, prompt, results, tokenize));
  for (size_t k = 0; k < encoded.size(); ++k) out.usage[k].set_cached(encoded[k].cached);
  return out;
}

}  // namespace facet
