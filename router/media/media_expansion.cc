#include "router/media/media_expansion.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "router/media/media_kinds.h"

namespace facet {
namespace {

internal::MediaSpan::Kind SpanKind(v1::Media::Kind kind) {
  if (kind == v1::Media::IMAGE) return internal::MediaSpan::IMAGE;
  return kind == v1::Media::VIDEO ? internal::MediaSpan::VIDEO : internal::MediaSpan::AUDIO;
}

// Its tokens, and the span of its soft tokens, at the end of `out`.
void AddPart(const MediaTokens& tokens, v1::Media::Kind kind, const EncodedPart& part,
             ExpandedPrompt* out) {
  std::vector<int32_t>& ids = out->token_ids;
  ids.push_back(tokens.begin);
  internal::MediaSpan& span = out->spans.emplace_back();
  span.set_kind(SpanKind(kind));
  span.set_position(static_cast<int32_t>(ids.size()));
  span.set_count(part.soft.count());
  span.set_dtype(part.soft.dtype());
  span.set_rows(part.soft.rows());
  span.set_content_hash(part.content_hash);
  ids.insert(ids.end(), static_cast<size_t>(part.soft.count()), tokens.placeholder);
  ids.push_back(tokens.end);
}

absl::Status AddMedium(const MediaTokens& tokens, const EncodedMedium& medium,
                       const TokenizeText& tokenize, ExpandedPrompt* out) {
  v1::MediaUsage& usage = out->usage.emplace_back();
  usage.set_kind(medium.kind);
  usage.set_parts(static_cast<int32_t>(medium.parts.size()));
  usage.set_seconds(medium.seconds);
  int32_t soft_tokens = 0;
  bool first = true;
  for (const EncodedPart& part : medium.parts) {
    if (medium.kind == v1::Media::VIDEO && tokenize) {
      FACET_ASSIGN_OR_RETURN(
          const std::vector<int32_t> time,
          tokenize(absl::StrCat(first ? "" : " ", FrameTime(part.timestamp_seconds), " ")));
      out->token_ids.insert(out->token_ids.end(), time.begin(), time.end());
    }
    AddPart(tokens, medium.kind, part, out);
    soft_tokens += part.soft.count();
    first = false;
  }
  usage.set_soft_tokens(soft_tokens);
  return absl::OkStatus();
}

// The indices of the inputs of a kind, in order.
std::vector<size_t> OfKind(const MediaInputs& inputs, v1::Media::Kind kind) {
  std::vector<size_t> out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].media->kind() == kind) out.push_back(i);
  }
  return out;
}

}  // namespace

void AddMedia(std::vector<internal::MediaSpan> spans, internal::SubmitRequest* submit) {
  for (internal::MediaSpan& span : spans) *submit->add_media() = std::move(span);
}

absl::StatusOr<std::vector<size_t>> MatchPlaceholders(const ModelConfig& config,
                                                      absl::Span<const int32_t> prompt,
                                                      const MediaInputs& inputs) {
  const PlaceholderKinds kinds(config);
  std::vector<v1::Media::Kind> wanted;
  for (const int32_t id : prompt) {
    const v1::Media::Kind kind = kinds.Of(id);
    if (kind != v1::Media::KIND_UNSPECIFIED) wanted.push_back(kind);
  }
  std::vector<size_t> out(wanted.size());
  for (const v1::Media::Kind kind : {v1::Media::IMAGE, v1::Media::VIDEO, v1::Media::AUDIO}) {
    const std::vector<size_t> given = OfKind(inputs, kind);
    size_t placeholders = 0;
    for (size_t k = 0; k < wanted.size(); ++k) {
      if (wanted[k] != kind) continue;
      if (placeholders < given.size()) out[k] = given[placeholders];
      ++placeholders;
    }
    if (placeholders == given.size()) continue;
    const std::optional<MediaTokens> tokens = TokensOf(config, kind);
    return absl::InvalidArgumentError(absl::StrCat(
        "the prompt has ", placeholders, " placeholders of ", v1::Media::Kind_Name(kind),
        " (token ", tokens.has_value() ? tokens->placeholder : -1, ") and the request ",
        given.size(), " media of it; one is needed for each"));
  }
  return out;
}

std::string FrameTime(double seconds) {
  const int64_t whole = static_cast<int64_t>(seconds);
  return absl::StrFormat("%02d:%02d", whole / 60, whole % 60);
}

absl::StatusOr<ExpandedPrompt> ExpandPrompt(
    const ModelConfig& config, absl::Span<const int32_t> prompt,
    absl::Span<const std::shared_ptr<const EncodedMedium>> media, const TokenizeText& tokenize) {
  const PlaceholderKinds kinds(config);
  ExpandedPrompt out;
  size_t next = 0;
  for (const int32_t id : prompt) {
    const v1::Media::Kind kind = kinds.Of(id);
    if (kind == v1::Media::KIND_UNSPECIFIED) {
      out.token_ids.push_back(id);
      continue;
    }
    FACET_CHECK(next < media.size() && media[next]->kind == kind) << "placeholder " << next;
    FACET_RETURN_IF_ERROR(AddMedium(*TokensOf(config, kind), *media[next++], tokenize, &out));
  }
  return out;
}

}  // namespace facet
