#ifndef FACET_ROUTER_STOP_MATCHER_H_
#define FACET_ROUTER_STOP_MATCHER_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace facet {

// Finds the first of some strings in a text that arrives in pieces, and says which end of the text
// might still become one.
//
// "First" is the match that ends first; of those that end at the same byte, the one that begins
// first. So the result does not depend on how the text is cut into pieces. One automaton for each
// string (Knuth, Morris, Pratt 1977): time is linear in the text whatever it holds.
//
// Thread-compatible: one stream, one matcher.
class StopMatcher {
 public:
  // None of `stops` is empty. Without stops every text is released at once.
  explicit StopMatcher(const std::vector<std::string>& stops);
  StopMatcher(const StopMatcher&) = delete;
  StopMatcher& operator=(const StopMatcher&) = delete;

  // Appends `text` and moves to *released what cannot be part of a match any more. Once a match is
  // found, what precedes it has been released and everything else is dropped. Returns matched().
  bool Push(absl::string_view text, std::string* released);

  // Ends the text: releases what was held back.
  void Finish(std::string* released);

  bool matched() const { return matched_ != nullptr; }
  // The string that was found; empty if none.
  const std::string& match() const;

 private:
  struct Pattern {
    std::string text;
    std::vector<size_t> fallback;  // of a prefix: its longest proper suffix that is a prefix too
    size_t length = 0;             // the longest prefix that ends where the text ends
  };

  static void Advance(char next, Pattern* pattern);

  std::vector<Pattern> patterns_;
  std::string held_;  // the text that is not released: as long as the longest `length`
  const Pattern* matched_ = nullptr;
};

}  // namespace facet

#endif  // FACET_ROUTER_STOP_MATCHER_H_
