#ifndef FACET_MODEL_CHAT_ORDERED_JSON_H_
#define FACET_MODEL_CHAT_ORDERED_JSON_H_

// JSON from outside for prompts: the order of members and the kind of each number are kept.

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/chat/conversation.h"
#include "model/json.h"

namespace facet {

// An integer that 64 bits do not hold is a binary value of this subtype: its decimal digits, with
// their sign. (A double would lose digits, and would be another prompt.)
inline constexpr uint8_t kBigIntegerSubtype = 1;

// Values in one another beyond which prompts are refused.
inline constexpr int kMaxJsonDepth = 64;

// InvalidArgument: longer or deeper than `limits`, not JSON (with the place), an object that has a
// key twice, or a double out of range. Linear in the length of the text.
absl::StatusOr<OrderedJson> ParseOrderedJson(absl::string_view text,
                                             const JsonLimits& limits = {
                                                 .max_depth = kMaxJsonDepth});

// `object[key]`; nullptr if it is no object, or has no such key or null there.
const OrderedJson* FindMember(const OrderedJson& object, absl::string_view key);

// A value as it appears in a message: one short line of ASCII.
std::string Excerpt(const OrderedJson& value);

}  // namespace facet

#endif  // FACET_MODEL_CHAT_ORDERED_JSON_H_
