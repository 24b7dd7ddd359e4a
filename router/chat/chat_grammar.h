#ifndef FACET_ROUTER_CHAT_CHAT_GRAMMAR_H_
#define FACET_ROUTER_CHAT_CHAT_GRAMMAR_H_

#include <optional>

#include "absl/status/statusor.h"
#include "proto/facet/internal/shard_engine.pb.h"
#include "proto/facet/v1/chat.pb.h"

namespace facet {

// The tool choice of a request, with the default resolved: AUTO with tools, NONE without.
// InvalidArgument: a mode that there is not, a name without NAMED, REQUIRED or NAMED without such a
// tool. Thread-safe, as the rest.
absl::StatusOr<v1::ToolChoice::Mode> ResolveToolChoice(const v1::ChatRequest& request);

// What holds the answer to `response_format` and to the tools, for a request whose tool choice is
// `mode`; unset: the answer is free. Without the start of the thought, which the prompt decides.
// InvalidArgument: a format beside REQUIRED or NAMED, one that is none, EBNF beside tools. Whether
// a schema can be enforced the shard group says.
absl::StatusOr<std::optional<internal::Grammar>> MakeGrammar(const v1::ChatRequest& request,
                                                             v1::ToolChoice::Mode mode);

}  // namespace facet

#endif  // FACET_ROUTER_CHAT_CHAT_GRAMMAR_H_
