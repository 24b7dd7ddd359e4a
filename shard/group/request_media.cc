#include "shard/group/request_media.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace facet {
namespace {

template <typename... Args>
absl::Status Bad(size_t i, const Args&... args) {
  return absl::InvalidArgumentError(absl::StrCat("media ", i, ": ", args...));
}

// Infinities and NaNs have an exponent of ones. `Bits`: the type's bits.
template <typename Bits>
bool AllFinite(absl::string_view rows, Bits exponent) {
  bool finite = true;
  for (size_t i = 0; i < rows.size(); i += sizeof(Bits)) {
    Bits value;
    std::memcpy(&value, rows.data() + i, sizeof(value));
    finite &= (value & exponent) != exponent;
  }
  return finite;
}

absl::Status CheckPlace(size_t i, const SoftTokens& run, int64_t least,
                        absl::Span<const int32_t> prompt, const MediaLimits& limits) {
  const auto tokens = static_cast<int64_t>(prompt.size());
  if (run.count < 1) return Bad(i, "count is ", run.count, ", must be at least 1");
  if (run.position < least || run.position > tokens - run.count) {
    return Bad(i, run.count, " soft tokens from position ", run.position, " on, must lie in [",
               least, ", ", tokens, ")");
  }
  const std::optional<int32_t>& placeholder = limits.Placeholder(run.kind);
  if (!placeholder.has_value()) return Bad(i, "kind is ", Name(run.kind), ": the model takes none");
  for (int32_t position = run.position; position < run.end(); ++position) {
    const int32_t id = prompt[static_cast<size_t>(position)];
    if (id == *placeholder) continue;
    return Bad(i, "prompt token ", position, " is ", id, ", must be the placeholder of the ",
               Name(run.kind), ", ", *placeholder);
  }
  return absl::OkStatus();
}

absl::Status CheckRows(size_t i, const SoftTokens& run, const MediaLimits& limits) {
  if (run.dtype != DType::kF32 && run.dtype != DType::kBF16) {
    return Bad(i, "dtype is ", Name(run.dtype), ", must be f32 or bf16");
  }
  const int64_t bytes =
      int64_t{run.count} * limits.hidden_size * static_cast<int64_t>(SizeOf(run.dtype));
  if (static_cast<int64_t>(run.rows.size()) != bytes) {
    return Bad(i, "rows have ", run.rows.size(), " bytes, must have ", bytes, ": ", run.count,
               " of ", limits.hidden_size, " ", Name(run.dtype));
  }
  const bool finite = run.dtype == DType::kF32 ? AllFinite<uint32_t>(run.rows, 0x7f800000u)
                                               : AllFinite<uint16_t>(run.rows, 0x7f80u);
  return finite ? absl::OkStatus() : Bad(i, "rows have a value that is not finite");
}

absl::Status CheckBlocks(const std::vector<MediaSpan>& blocks, const MediaLimits& limits) {
  for (const MediaSpan& block : blocks) {
    if (block.tokens <= limits.max_block_tokens) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "an image of ", block.tokens, " soft tokens at position ", block.start,
        ": the model must compute it in one step, which has room for ", limits.max_block_tokens));
  }
  return absl::OkStatus();
}

std::vector<SoftTokens> SoftTokensOf(absl::Span<const RequestMedia> media) {
  std::vector<SoftTokens> out;
  out.reserve(media.size());
  for (const RequestMedia& one : media) out.push_back(one.soft_tokens);
  return out;
}

}  // namespace

const std::optional<int32_t>& MediaLimits::Placeholder(MediaKind kind) const {
  switch (kind) {
    case MediaKind::kImage:
      return image_token_id;
    case MediaKind::kVideo:
      return video_token_id;
    case MediaKind::kAudio:
      break;
  }
  return audio_token_id;
}

absl::Status ValidateMedia(absl::Span<const RequestMedia> media, absl::Span<const int32_t> prompt,
                           const MediaLimits& limits) {
  if (media.empty()) return absl::OkStatus();
  if (const int64_t bytes = MediaBytes(media); bytes > limits.max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "media have ", bytes, " bytes of soft tokens, must have at most ", limits.max_bytes));
  }
  int64_t end = 0;
  for (size_t i = 0; i < media.size(); ++i) {
    const SoftTokens& run = media[i].soft_tokens;
    FACET_RETURN_IF_ERROR(CheckPlace(i, run, end, prompt, limits));
    FACET_RETURN_IF_ERROR(CheckRows(i, run, limits));
    if (media[i].content_hash.size() != RequestMedia::kContentHashBytes) {
      return Bad(i, "content_hash has ", media[i].content_hash.size(), " bytes, must have ",
                 RequestMedia::kContentHashBytes);
    }
    end = run.end();
  }
  return limits.has_blocks ? CheckBlocks(BlocksOf(SoftTokensOf(media)), limits) : absl::OkStatus();
}

int64_t MediaBytes(absl::Span<const RequestMedia> media) {
  int64_t bytes = 0;
  for (const RequestMedia& one : media) bytes += static_cast<int64_t>(one.soft_tokens.rows.size());
  return bytes;
}

std::vector<MediaSpan> HashedSpans(absl::Span<const RequestMedia> media, bool has_blocks) {
  std::vector<MediaSpan> spans;
  bool in_block = false;  // the last of `spans`
  for (const RequestMedia& one : media) {
    const SoftTokens& run = one.soft_tokens;
    // Behind the slashes comes a hash of fixed size, so no two lists of these read alike.
    const std::string hash =
        absl::StrCat(Name(run.kind), "/", Name(run.dtype), "/", run.count, "/", one.content_hash);
    const bool goes_on = in_block && FormsBlocks(run.kind) &&
                         spans.back().start + spans.back().tokens == run.position;
    if (goes_on) {
      spans.back().tokens += run.count;
      spans.back().content_hash += hash;
    } else {
      spans.push_back({run.position, run.count, hash});
    }
    in_block = has_blocks && FormsBlocks(run.kind);
  }
  return spans;
}

std::shared_ptr<const PromptMedia> MakePromptMedia(absl::Span<const RequestMedia> media,
                                                   bool has_blocks) {
  if (media.empty()) return nullptr;
  auto out = std::make_shared<PromptMedia>();
  out->soft_tokens = SoftTokensOf(media);
  if (has_blocks) out->unsplit = BlocksOf(out->soft_tokens);
  return out;
}

}  // namespace facet
