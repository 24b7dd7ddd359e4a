#ifndef FACET_SERVICES_GATEWAY_TOKEN_TEXTS_H_
#define FACET_SERVICES_GATEWAY_TOKEN_TEXTS_H_

#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>

#include "proto/facet/v1/generation.grpc.pb.h"

namespace facet {

// The texts of tokens, for log-probabilities: the router's answers carry ids. A text is asked for
// once (Detokenize of the one token) and kept; there are as many as the vocabulary has.
//
// Thread-safe. One model: the router serves one.
class TokenTexts {
 public:
  // `stub` must outlive it, and every Fetch().
  explicit TokenTexts(v1::Generation::StubInterface* stub) : stub_(stub) {}

  // Asks for those of `ids` that are not known. `done` is called once, from any thread, perhaps
  // before this returns.
  void Fetch(const std::set<int32_t>& ids, std::function<void()> done);

  // "token_id:7" if the router did not say it (a model without a tokenizer).
  std::string Text(int32_t id) const;

 private:
  v1::Generation::StubInterface* const stub_;
  mutable std::mutex mutex_;
  std::unordered_map<int32_t, std::string> texts_;
};

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_TOKEN_TEXTS_H_
