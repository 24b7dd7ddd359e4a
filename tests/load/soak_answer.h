#ifndef FACET_TESTS_LOAD_SOAK_ANSWER_H_
#define FACET_TESTS_LOAD_SOAK_ANSWER_H_

// One request of a soak run, from its call to its end, as its caller sees it.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "proto/facet/v1/generation.grpc.pb.h"

namespace facet::testing {

struct SoakCompletion {
  std::vector<int32_t> token_ids;
  std::string text;
  std::string logprobs;  // every TokenLogprob, serialized: compared bit by bit
  v1::FinishReason finish_reason = v1::FINISH_REASON_UNSPECIFIED;
  std::string matched_stop;
};

struct SoakAnswer {
  grpc::Status status;
  bool has_retry_after = false;
  std::vector<SoakCompletion> completions;
  std::string prompt_logprobs;  // serialized likewise
  int cached_tokens = 0;
  std::string fault;  // what no stream may do, whatever the load: empty if it did not
};

// How a caller behaves.
struct SoakManners {
  absl::Duration timeout = absl::Seconds(120);
  std::optional<int> cancel_after = std::nullopt;  // messages, then it goes away
  absl::Duration pause = absl::ZeroDuration();     // before each read
};

SoakAnswer Ask(v1::Generation::Stub& stub, const v1::GenerateRequest& request,
               const SoakManners& manners);

// Empty if `answer`, to its end, is `alone`; else what differs.
std::string Difference(const SoakAnswer& answer, const SoakAnswer& alone);

// Empty if what `answer` holds, which was cut off, is how `alone` begins.
std::string DifferenceSoFar(const SoakAnswer& answer, const SoakAnswer& alone);

}  // namespace facet::testing

#endif  // FACET_TESTS_LOAD_SOAK_ANSWER_H_
