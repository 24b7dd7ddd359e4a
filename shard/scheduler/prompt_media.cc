#include "shard/scheduler/prompt_media.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace facet {
namespace {

absl::Status CheckPlace(const char* name, int64_t start, int64_t count, int64_t least,
                        int prompt_tokens) {
  if (start >= least && count >= 1 && start + count <= prompt_tokens) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " at positions [", start, ", ",
                                                 start + count, "), must lie in [", least, ", ",
                                                 prompt_tokens, ")"));
}

}  // namespace

int PromptMedia::LongestUnsplit() const {
  int longest = 0;
  for (const MediaSpan& span : unsplit) longest = std::max(longest, span.tokens);
  return longest;
}

const MediaSpan* PromptMedia::UnsplitAcross(int position) const {
  // The last that starts before the position.
  const auto after =
      std::lower_bound(unsplit.begin(), unsplit.end(), position,
                       [](const MediaSpan& span, int place) { return span.start < place; });
  if (after == unsplit.begin()) return nullptr;
  const MediaSpan& span = *(after - 1);
  return position < span.start + span.tokens ? &span : nullptr;
}

absl::Status PromptMedia::Validate(int prompt_tokens, int max_unsplit) const {
  int64_t end = 0;
  for (const SoftTokens& run : soft_tokens) {
    FACET_RETURN_IF_ERROR(CheckPlace("soft tokens", run.position, run.count, end, prompt_tokens));
    end = int64_t{run.position} + run.count;
  }
  end = 0;
  for (const MediaSpan& span : unsplit) {
    FACET_RETURN_IF_ERROR(
        CheckPlace("a block of soft tokens", span.start, span.tokens, end, prompt_tokens));
    end = int64_t{span.start} + span.tokens;
    if (span.tokens > max_unsplit) {
      return absl::InvalidArgumentError(
          absl::StrCat("the block of soft tokens at position ", span.start, " has ", span.tokens,
                       "; one step, which must compute it whole, has room for ", max_unsplit));
    }
  }
  return absl::OkStatus();
}

std::vector<MediaSpan> BlocksOf(const std::vector<SoftTokens>& soft_tokens) {
  std::vector<MediaSpan> blocks;
  for (const SoftTokens& run : soft_tokens) {
    if (!FormsBlocks(run.kind)) continue;
    if (!blocks.empty() && blocks.back().start + blocks.back().tokens == run.position) {
      blocks.back().tokens += run.count;
    } else {
      blocks.push_back({run.position, run.count, ""});
    }
  }
  return blocks;
}

}  // namespace facet
