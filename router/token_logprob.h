#ifndef FACET_ROUTER_TOKEN_LOGPROB_H_
#define FACET_ROUTER_TOKEN_LOGPROB_H_

#include "proto/facet/internal/shard_engine.pb.h"
#include "proto/facet/v1/output.pb.h"

namespace facet {

// A token with at most `top` of the likeliest ones in its place, as callers read it.
v1::TokenLogprob ToTokenLogprob(const internal::TokenOutput& token, int top);

}  // namespace facet

#endif  // FACET_ROUTER_TOKEN_LOGPROB_H_
