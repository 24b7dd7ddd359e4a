#ifndef FACET_MODEL_CHAT_VALUES_H_
#define FACET_MODEL_CHAT_VALUES_H_

// How JSON values stand in a prompt.

#include <vector>

#include "model/chat/conversation.h"
#include "model/chat/prompt_text.h"

namespace facet {

enum class KeyStyle {
  kBare,    // {k:1}, in arguments and results
  kQuoted,  // {<|"|>k<|"|>:1}, in declarations
};

// A value: null, true, 1, 1.0, <|"|>text<|"|>, [a,b], {k:v}. The caller sees to its depth
// (kMaxJsonDepth).
void WriteValue(const OrderedJson& value, KeyStyle keys, PromptText& out);

// The members of an object as k:v,k:v, without braces.
void WriteMembers(const OrderedJson& object, KeyStyle keys, PromptText& out);

using Member = OrderedJson::object_t::value_type;

// The members of an object in the order in which prompts have them: by the lower-case form of the
// key, equal ones as they came. Borrows `object`.
std::vector<const Member*> SortedMembers(const OrderedJson& object);

// Writes a comma before each call but the first.
class Commas {
 public:
  explicit Commas(PromptText& out) : out_(out) {}
  void Next() {
    if (!first_) out_.Markup(",");
    first_ = false;
  }

 private:
  PromptText& out_;
  bool first_ = true;
};

}  // namespace facet

#endif  // FACET_MODEL_CHAT_VALUES_H_
