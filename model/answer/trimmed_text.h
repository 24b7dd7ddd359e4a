#ifndef FACET_MODEL_ANSWER_TRIMMED_TEXT_H_
#define FACET_MODEL_ANSWER_TRIMMED_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace facet {

// Removes the white space (Unicode's White_Space) at both ends of a text that arrives in pieces:
// what comes before the first visible character is dropped, and white space behind text is held
// until more text follows. Holds nothing else.
//
// Thread-compatible: one text, one object.
class TrimmedText {
 public:
  // Appends to *out what is certain now. `piece` is UTF-8 of whole code points.
  void Append(absl::string_view piece, std::string* out);

 private:
  bool started_ = false;
  std::string held_;
};

}  // namespace facet

#endif  // FACET_MODEL_ANSWER_TRIMMED_TEXT_H_
