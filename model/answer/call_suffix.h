#ifndef FACET_MODEL_ANSWER_CALL_SUFFIX_H_
#define FACET_MODEL_ANSWER_CALL_SUFFIX_H_

#include <string>

namespace facet {

// 24 random characters of a-z and 0-9, for the ids of tool calls: 124 bits, so that no two calls
// of a conversation ever meet. Thread-safe.
std::string RandomCallSuffix();

}  // namespace facet

#endif  // FACET_MODEL_ANSWER_CALL_SUFFIX_H_
