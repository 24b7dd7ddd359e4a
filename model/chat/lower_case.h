#ifndef FACET_MODEL_CHAT_LOWER_CASE_H_
#define FACET_MODEL_CHAT_LOWER_CASE_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace facet {

// The lower-case form of a code point; itself where there is none. U+0130 has two and stays.
uint32_t LowerCase(uint32_t code_point);

// The lower-case form of valid UTF-8, as Python's str.lower makes it, except that a capital sigma
// at the end of a word becomes the ordinary small one. The template orders keys by it, whatever
// the machine's locale is.
std::string LowerCase(absl::string_view text);

}  // namespace facet

#endif  // FACET_MODEL_CHAT_LOWER_CASE_H_
