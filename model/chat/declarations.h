#ifndef FACET_MODEL_CHAT_DECLARATIONS_H_
#define FACET_MODEL_CHAT_DECLARATIONS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "model/chat/conversation.h"
#include "model/chat/prompt_text.h"

namespace facet {

// A tool as the template declares it, without the special tokens around it:
//   declaration:NAME{description:..,parameters:{properties:{..},required:[..],type:..}}
// Of the schemas it writes description, type, enum (of strings), items, properties, required and
// nullable; the template drops everything else. InvalidArgument where it could write no sense: a
// type that is no name, required that is no list of names, properties that are no object; the
// message begins with `path`, where the tool stands in the request.
absl::Status WriteDeclaration(const Tool& tool, absl::string_view path, PromptText& out);

}  // namespace facet

#endif  // FACET_MODEL_CHAT_DECLARATIONS_H_
