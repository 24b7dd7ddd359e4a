#ifndef FACET_ROUTER_STREAM_ASSEMBLER_H_
#define FACET_ROUTER_STREAM_ASSEMBLER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "model/tokenizer/incremental_decoder.h"
#include "proto/facet/internal/shard_engine.pb.h"
#include "proto/facet/v1/generation.pb.h"
#include "router/generation_spec.h"
#include "router/served_model.h"
#include "router/stop_matcher.h"

namespace facet {

// Turns the tokens of one generation into what its caller reads: text of whole code points, without
// control tokens unless asked for, cut exactly before the first stop string; token ids and
// log-probabilities, one each for every token up to the one that ended the generation.
//
// Stop strings count from the text of token min_tokens + 1 on, as stop tokens do.
//
// The sum of what it adds depends on the tokens alone, not on how they are cut into calls. Token
// ids are added at once; text follows when it can no longer change (a code point that takes several
// tokens, a possible beginning of a stop string).
//
// Thread-compatible: one generation, one assembler.
class StreamAssembler {
 public:
  // `model` must outlive it. Without a tokenizer there is no text.
  StreamAssembler(const ServedModel* model, const GenerationSpec& spec);

  // Appends to *delta. Returns true when a stop string is complete: the generation ends with the
  // token that completed it; the tokens behind it, and those of later calls, are dropped.
  bool Push(const google::protobuf::RepeatedPtrField<internal::TokenOutput>& tokens,
            v1::Delta* delta);

  // The last token has come: appends the text that was held back. An incomplete code point becomes
  // U+FFFD. True if that completed a stop string.
  bool Finish(v1::Delta* delta);

  int completion_tokens() const { return completion_tokens_; }
  // The stop string that ended the generation; empty if none did.
  const std::string& matched_stop() const { return stops_.match(); }

  // Whether a delta holds nothing: never send one that does.
  static bool IsEmpty(const v1::Delta& delta);

 private:
  void AppendText(const internal::TokenOutput& token, std::string* text);
  // An id that ends the generation counts as a token, but adds no text.
  bool EndsGeneration(int32_t id) const;

  const Tokenizer* const tokenizer_;  // may be null
  const bool show_special_;
  const std::optional<int> logprobs_;
  const int min_tokens_;
  std::vector<int32_t> model_end_ids_;  // sorted; empty with ignore_eos
  std::vector<int32_t> stop_ids_;       // the caller's, sorted
  IncrementalDecoder decoder_;
  StopMatcher stops_;
  int completion_tokens_ = 0;
};

}  // namespace facet

#endif  // FACET_ROUTER_STREAM_ASSEMBLER_H_
