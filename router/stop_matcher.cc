#include "router/stop_matcher.h"

#include <algorithm>

#include "base/log.h"

namespace facet {

StopMatcher::StopMatcher(const std::vector<std::string>& stops) {
  for (const std::string& stop : stops) {
    FACET_CHECK(!stop.empty()) << "a stop string is empty";
    Pattern pattern;
    pattern.text = stop;
    pattern.fallback.assign(stop.size() + 1, 0);
    for (size_t i = 1, length = 0; i < stop.size(); ++i) {
      while (length > 0 && stop[i] != stop[length]) length = pattern.fallback[length];
      if (stop[i] == stop[length]) ++length;
      pattern.fallback[i + 1] = length;
    }
    patterns_.push_back(std::move(pattern));
  }
}

void StopMatcher::Advance(char next, Pattern* pattern) {
  size_t& length = pattern->length;
  while (length > 0 && pattern->text[length] != next) length = pattern->fallback[length];
  if (pattern->text[length] == next) ++length;
}

bool StopMatcher::Push(absl::string_view text, std::string* released) {
  if (matched()) return true;
  held_.append(text.data(), text.size());
  for (size_t i = held_.size() - text.size(); i < held_.size(); ++i) {
    for (Pattern& pattern : patterns_) {
      Advance(held_[i], &pattern);
      const bool complete = pattern.length == pattern.text.size();
      if (complete && (matched_ == nullptr || pattern.length > matched_->length)) {
        matched_ = &pattern;
      }
    }
    if (matched()) {
      released->append(held_, 0, i + 1 - matched_->length);
      held_.clear();
      return true;
    }
  }
  size_t held_back = 0;
  for (const Pattern& pattern : patterns_) held_back = std::max(held_back, pattern.length);
  released->append(held_, 0, held_.size() - held_back);
  held_.erase(0, held_.size() - held_back);
  return false;
}

void StopMatcher::Finish(std::string* released) {
  if (matched()) return;
  released->append(held_);
  held_.clear();
  for (Pattern& pattern : patterns_) pattern.length = 0;
}

const std::string& StopMatcher::match() const {
  static const std::string none;
  return matched() ? matched_->text : none;
}

}  // namespace facet
