#include "router/token_logprob.h"

#include <algorithm>

namespace facet {

v1::TokenLogprob ToTokenLogprob(const internal::TokenOutput& token, int top) {
  v1::TokenLogprob out;
  out.set_token_id(token.token_id());
  out.set_logprob(token.logprob());
  const int count = std::min({top, token.top_ids_size(), token.top_logprobs_size()});
  for (int i = 0; i < count; ++i) {
    v1::TopLogprob* one = out.add_top();
    one->set_token_id(token.top_ids(i));
    one->set_logprob(token.top_logprobs(i));
  }
  return out;
}

}  // namespace facet
