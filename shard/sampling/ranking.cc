#include "shard/sampling/ranking.h"

#include <algorithm>
#include <limits>

#include "base/log.h"
#include "shard/sampling/row_math.h"

namespace facet {
namespace {

bool RanksBefore(const WeightedToken& a, const WeightedToken& b) { return a.token < b.token; }

double MassOf(absl::Span<const WeightedToken> tokens) {
  double mass = 0;
  for (const WeightedToken& token : tokens) mass += token.weight;
  return mass;
}

// The token in the middle of three, to split the range near its middle.
WeightedToken MiddleOfThree(absl::Span<const WeightedToken> tokens) {
  WeightedToken three[] = {tokens.front(), tokens[tokens.size() / 2], tokens.back()};
  std::sort(std::begin(three), std::end(three), RanksBefore);
  return three[1];
}

}  // namespace

// Collects twice as many as asked before it throws the worse half away, so that throwing away costs
// little for each token. The threshold is the worst that still counts: a later token of the same
// logit has a higher id and ranks behind it.
absl::Span<const RankedToken> BestSelector::Select(absl::Span<const float> row, size_t count) {
  best_.clear();
  float threshold = -std::numeric_limits<float>::infinity();
  const auto keep_best = [&] {
    if (best_.size() <= count) return;
    scratch_ = best_;
    std::nth_element(scratch_.begin(), scratch_.begin() + (count - 1), scratch_.end());
    const RankedToken last = scratch_[count - 1];
    best_.erase(std::remove_if(best_.begin(), best_.end(),
                               [&](const RankedToken& token) { return last < token; }),
                best_.end());
    threshold = last.logit;
  };
  const size_t limit = 2 * std::max<size_t>(count, kRowBlock);
  for (size_t start = 0; (start = NextBlockAbove(row, start, threshold)) < row.size();
       start += kRowBlock) {
    const size_t end = std::min(start + kRowBlock, row.size());
    for (size_t i = start; i < end; ++i) {
      if (row[i] > threshold) best_.push_back({row[i], static_cast<int32_t>(i)});
    }
    if (best_.size() >= limit) keep_best();
  }
  keep_best();
  return best_;
}

// Quickselect by mass: splits at a pivot and goes on in the half that holds the boundary.
RankedToken LastOfMass(absl::Span<WeightedToken> tokens, double mass) {
  FACET_CHECK(!tokens.empty());
  constexpr size_t kFew = 24;     // not worth splitting
  constexpr int kMaxSplits = 64;  // then pivots were bad, and sorting is the bound
  for (int split = 0; split < kMaxSplits && tokens.size() > kFew; ++split) {
    const WeightedToken pivot = MiddleOfThree(tokens);
    const auto middle =
        std::partition(tokens.begin(), tokens.end(),
                       [&](const WeightedToken& token) { return RanksBefore(token, pivot); });
    const size_t before = middle - tokens.begin();  // at least the first of the three
    const double mass_before = MassOf(tokens.first(before));
    if (mass_before >= mass) {
      tokens = tokens.first(before);
    } else {
      mass -= mass_before;
      tokens = tokens.subspan(before);  // the pivot among them
    }
  }
  std::sort(tokens.begin(), tokens.end(), RanksBefore);
  for (const WeightedToken& token : tokens) {
    mass -= token.weight;
    if (mass <= 0) return token.token;
  }
  return tokens.back().token;
}

}  // namespace facet
