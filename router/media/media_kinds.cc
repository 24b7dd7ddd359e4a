#include "router/media/media_kinds.h"

#include "absl/strings/str_join.h"

namespace facet {
namespace {

constexpr v1::Media::Kind kKinds[] = {v1::Media::IMAGE, v1::Media::VIDEO, v1::Media::AUDIO};

const char* Plural(v1::Media::Kind kind) {
  if (kind == v1::Media::IMAGE) return "images";
  return kind == v1::Media::VIDEO ? "video" : "audio";
}

}  // namespace

std::optional<MediaTokens> TokensOf(const ModelConfig& config, v1::Media::Kind kind) {
  const bool hears = kind == v1::Media::AUDIO;
  std::optional<int> placeholder;
  if (kind == v1::Media::IMAGE) placeholder = config.image_token_id;
  if (kind == v1::Media::VIDEO) placeholder = config.video_token_id;
  if (hears) placeholder = config.audio_token_id;
  const std::optional<int> begin =
      hears ? config.begin_audio_token_id : config.begin_image_token_id;
  const std::optional<int> end = hears ? config.end_audio_token_id : config.end_image_token_id;
  const bool has_part = hears ? config.has_audio : config.has_vision;
  if (!has_part || !placeholder.has_value() || !begin.has_value() || !end.has_value()) {
    return std::nullopt;
  }
  return MediaTokens{*placeholder, *begin, *end};
}

PlaceholderKinds::PlaceholderKinds(const ModelConfig& config) {
  for (const v1::Media::Kind kind : kKinds) {
    const std::optional<MediaTokens> tokens = TokensOf(config, kind);
    if (tokens.has_value()) placeholders_.push_back({tokens->placeholder, kind});
  }
}

std::string AcceptedMedia(const ModelConfig& config) {
  std::vector<std::string> kinds;
  for (const v1::Media::Kind kind : kKinds) {
    if (TokensOf(config, kind).has_value()) kinds.push_back(Plural(kind));
  }
  return kinds.empty() ? "text only" : absl::StrJoin(kinds, ", ");
}

std::vector<int32_t> MediaTokenIds(const ModelConfig& config) {
  std::vector<int32_t> ids;
  if (!config.has_vision && !config.has_audio) return ids;
  for (const std::optional<int>& id :
       {config.image_token_id, config.video_token_id, config.audio_token_id,
        config.begin_image_token_id, config.end_image_token_id, config.begin_audio_token_id,
        config.end_audio_token_id}) {
    if (id.has_value()) ids.push_back(*id);
  }
  return ids;
}

}  // namespace facet
