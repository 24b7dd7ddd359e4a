#include "tests/load/soak_answer.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"

namespace facet::testing {
namespace {

void TakeDelta(const v1::Delta& delta, SoakAnswer* answer) {
  if (delta.index() < 0 || delta.index() >= static_cast<int>(answer->completions.size())) {
    answer->fault = absl::StrCat("a delta of completion ", delta.index());
    return;
  }
  if (delta.text().empty() && delta.token_ids().empty()) answer->fault = "an empty delta";
  SoakCompletion& completion = answer->completions[static_cast<size_t>(delta.index())];
  if (completion.finish_reason != v1::FINISH_REASON_UNSPECIFIED) {
    answer->fault = absl::StrCat("a delta behind the end of completion ", delta.index());
  }
  completion.token_ids.insert(completion.token_ids.end(), delta.token_ids().begin(),
                              delta.token_ids().end());
  completion.text += delta.text();
  for (const v1::TokenLogprob& logprob : delta.logprobs()) {
    completion.logprobs += logprob.SerializeAsString();
  }
}

void TakeMessage(const v1::GenerateResponse& message, bool first, SoakAnswer* answer) {
  if (first != message.has_start()) answer->fault = "the first message, and it alone, is a start";
  switch (message.event_case()) {
    case v1::GenerateResponse::kStart:
      answer->cached_tokens = message.start().cached_tokens();
      break;
    case v1::GenerateResponse::kPromptLogprobs:
      for (const v1::TokenLogprob& logprob : message.prompt_logprobs().tokens()) {
        answer->prompt_logprobs += logprob.SerializeAsString();
      }
      break;
    case v1::GenerateResponse::kDelta:
      TakeDelta(message.delta(), answer);
      break;
    case v1::GenerateResponse::kSequenceEnd: {
      const v1::SequenceEnd& end = message.sequence_end();
      SoakCompletion& completion = answer->completions.at(static_cast<size_t>(end.index()));
      completion.finish_reason = end.finish_reason();
      completion.matched_stop = end.matched_stop();
      break;
    }
    case v1::GenerateResponse::kEnd:
      answer->completions[0].finish_reason = message.end().finish_reason();
      answer->completions[0].matched_stop = message.end().matched_stop();
      break;
    case v1::GenerateResponse::EVENT_NOT_SET:
      answer->fault = "a message without an event";
      break;
  }
}

std::string Ids(const std::vector<int32_t>& ids) { return absl::StrJoin(ids, ","); }

}  // namespace

SoakAnswer Ask(v1::Generation::Stub& stub, const v1::GenerateRequest& request,
               const SoakManners& manners) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + manners.timeout));
  SoakAnswer answer;
  answer.completions.resize(static_cast<size_t>(std::max(1, request.n())));
  const auto reader = stub.Generate(&context, request);
  v1::GenerateResponse message;
  int messages = 0;
  while (true) {
    if (manners.cancel_after.has_value() && messages >= *manners.cancel_after) context.TryCancel();
    absl::SleepFor(manners.pause);
    if (!reader->Read(&message)) break;
    TakeMessage(message, messages == 0, &answer);
    ++messages;
  }
  answer.status = reader->Finish();
  answer.has_retry_after = context.GetServerTrailingMetadata().count("retry-after-ms") > 0;
  return answer;
}

std::string Difference(const SoakAnswer& answer, const SoakAnswer& alone) {
  if (answer.prompt_logprobs != alone.prompt_logprobs) return "other prompt log-probabilities";
  for (size_t i = 0; i < alone.completions.size(); ++i) {
    const SoakCompletion& got = answer.completions[i];
    const SoakCompletion& want = alone.completions[i];
    if (got.token_ids != want.token_ids) {
      return absl::StrCat("completion ", i, ": tokens ", Ids(got.token_ids), " instead of ",
                          Ids(want.token_ids));
    }
    if (got.text != want.text) {
      return absl::StrCat("completion ", i, ": text \"", got.text, "\" instead of \"", want.text,
                          "\"");
    }
    if (got.logprobs != want.logprobs) {
      return absl::StrCat("completion ", i, ": other log-probabilities");
    }
    if (got.finish_reason != want.finish_reason || got.matched_stop != want.matched_stop) {
      return absl::StrCat("completion ", i, ": finish ", v1::FinishReason_Name(got.finish_reason),
                          " \"", got.matched_stop, "\" instead of ",
                          v1::FinishReason_Name(want.finish_reason), " \"", want.matched_stop,
                          "\"");
    }
  }
  return "";
}

std::string DifferenceSoFar(const SoakAnswer& answer, const SoakAnswer& alone) {
  if (!absl::StartsWith(alone.prompt_logprobs, answer.prompt_logprobs)) {
    return "other prompt log-probabilities";
  }
  for (size_t i = 0; i < alone.completions.size(); ++i) {
    const SoakCompletion& got = answer.completions[i];
    const SoakCompletion& want = alone.completions[i];
    const bool begins =
        got.token_ids.size() <= want.token_ids.size() &&
        std::equal(got.token_ids.begin(), got.token_ids.end(), want.token_ids.begin());
    if (!begins || !absl::StartsWith(want.text, got.text)) {
      return absl::StrCat("completion ", i, ": tokens ", Ids(got.token_ids), " are not how ",
                          Ids(want.token_ids), " begins");
    }
  }
  return "";
}

}  // namespace facet::testing
