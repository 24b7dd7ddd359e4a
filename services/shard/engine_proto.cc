#include "services/shard/engine_proto.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/retry_after.h"
#include "base/status_macros.h"

namespace facet {
namespace {

SamplingParams SamplingOf(const internal::SubmitRequest& request) {
  const internal::SamplingSettings& from = request.sampling();
  SamplingParams to;
  to.temperature = from.temperature();
  to.top_k = from.top_k();
  to.top_p = from.top_p();
  to.min_p = from.min_p();
  to.repetition_penalty = from.repetition_penalty();
  to.presence_penalty = from.presence_penalty();
  to.frequency_penalty = from.frequency_penalty();
  to.seed = from.seed();
  to.logit_bias.assign(from.logit_bias().begin(), from.logit_bias().end());
  to.suppress_tokens.assign(from.suppress_tokens().begin(), from.suppress_tokens().end());
  if (request.want_logprobs()) to.logprobs = request.top_logprobs();
  return to;
}

StopConditions StoppingOf(const internal::StoppingSettings& from) {
  StopConditions to;
  to.max_tokens = from.max_tokens();
  to.min_tokens = from.min_tokens();
  to.ignore_eos = from.ignore_eos();
  to.end_token_ids.assign(from.end_token_ids().begin(), from.end_token_ids().end());
  to.stop_token_ids.assign(from.stop_token_ids().begin(), from.stop_token_ids().end());
  return to;
}

internal::Finish::Reason ReasonOf(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return internal::Finish::STOP;
    case FinishReason::kLength:
      return internal::Finish::LENGTH;
    case FinishReason::kCancelled:
      return internal::Finish::CANCELLED;
    case FinishReason::kError:
    case FinishReason::kNone:
      break;
  }
  return internal::Finish::ERROR;
}

void Fill(const SampledToken& token, internal::TokenOutput* to) {
  to->set_token_id(token.token);
  to->set_logprob(token.logprob);
  for (const TokenLogprob& top : token.top_logprobs) {
    to->add_top_ids(top.token);
    to->add_top_logprobs(top.logprob);
  }
}

void Fill(const EngineFinish& finish, internal::Finish* to) {
  to->set_reason(ReasonOf(finish.reason));
  to->set_queue_seconds(absl::ToDoubleSeconds(finish.queued));
  if (!finish.status.ok()) {
    to->set_code(static_cast<int>(finish.status.code()));
    to->set_message(std::string(finish.status.message()));
  }
  if (const auto after = RetryAfter(finish.status)) {
    to->set_retry_after_ms(static_cast<int>(absl::ToInt64Milliseconds(*after)));
  }
}

ReasoningLimit ReasoningOf(const internal::ReasoningBudget& from) {
  return {from.max_tokens(), from.starts_in_thought(), from.open_token(), from.close_token()};
}

absl::StatusOr<MediaKind> KindOf(internal::MediaSpan::Kind kind) {
  switch (kind) {
    case internal::MediaSpan::IMAGE:
      return MediaKind::kImage;
    case internal::MediaSpan::VIDEO:
      return MediaKind::kVideo;
    case internal::MediaSpan::AUDIO:
      return MediaKind::kAudio;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("media: kind is ", static_cast<int>(kind), ", must be in [1, 3]"));
  }
}

absl::StatusOr<RequestMedia> MediaOf(internal::MediaSpan span) {
  FACET_ASSIGN_OR_RETURN(const MediaKind kind, KindOf(span.kind()));
  if (span.dtype() != Name(DType::kF32) && span.dtype() != Name(DType::kBF16)) {
    return absl::InvalidArgumentError(
        absl::StrCat("media: dtype is '", span.dtype(), "', must be f32 or bf16"));
  }
  const DType dtype = span.dtype() == Name(DType::kF32) ? DType::kF32 : DType::kBF16;
  RequestMedia media;
  media.soft_tokens =
      OwnSoftTokens(span.position(), span.count(), kind, dtype, std::move(*span.mutable_rows()));
  media.content_hash = std::move(*span.mutable_content_hash());
  return media;
}

absl::StatusOr<ThoughtGate::Start> StartOf(internal::Grammar::ThoughtStart start) {
  switch (start) {
    case internal::Grammar::ANSWER:
      return ThoughtGate::Start::kAnswer;
    case internal::Grammar::MAY_THINK:
      return ThoughtGate::Start::kMayThink;
    case internal::Grammar::IN_THOUGHT:
      return ThoughtGate::Start::kInThought;
    default:
      return absl::InvalidArgumentError(absl::StrCat(
          "grammar: thought_start is ", static_cast<int>(start), ", must be in [0, 2]"));
  }
}

absl::Status ReadTools(internal::ToolCalls from, GrammarSpec* to) {
  using Choice = GrammarSpec::ToolChoice;
  constexpr Choice kChoices[] = {Choice::kAuto, Choice::kNone, Choice::kRequired, Choice::kNamed};
  if (from.choice() < 0 || from.choice() > 3) {
    return absl::InvalidArgumentError(absl::StrCat(
        "grammar: choice is ", static_cast<int>(from.choice()), ", must be in [0, 3]"));
  }
  to->kind = GrammarSpec::Kind::kToolCalls;
  to->tool_choice = kChoices[from.choice()];
  to->tool_name = std::move(*from.mutable_name());
  to->parallel_tool_calls = from.parallel();
  for (internal::ToolCalls::Tool& tool : *from.mutable_tools()) {
    to->tools.push_back({.name = std::move(*tool.mutable_name()),
                         .parameters = std::move(*tool.mutable_parameters()),
                         .strict = !tool.lenient()});
  }
  return absl::OkStatus();
}

absl::StatusOr<GrammarRequest> GrammarOf(internal::Grammar from) {
  GrammarRequest to;
  FACET_ASSIGN_OR_RETURN(to.start, StartOf(from.thought_start()));
  if (from.has_tool_calls()) {
    if (from.text_case() != internal::Grammar::TEXT_NOT_SET) {
      return absl::InvalidArgumentError("grammar: a form of the text beside tool calls");
    }
    FACET_RETURN_IF_ERROR(ReadTools(std::move(*from.mutable_tool_calls()), &to.spec));
    return to;
  }
  switch (from.text_case()) {
    case internal::Grammar::kJson:
      to.spec = {.kind = GrammarSpec::Kind::kJsonSchema, .text = "true"};
      break;
    case internal::Grammar::kJsonSchema:
      to.spec = {.kind = GrammarSpec::Kind::kJsonSchema,
                 .text = std::move(*from.mutable_json_schema())};
      break;
    case internal::Grammar::kRegex:
      to.spec = {.kind = GrammarSpec::Kind::kRegex, .text = std::move(*from.mutable_regex())};
      break;
    case internal::Grammar::kEbnf:
      to.spec = {.kind = GrammarSpec::Kind::kEbnf, .text = std::move(*from.mutable_ebnf())};
      break;
    case internal::Grammar::TEXT_NOT_SET:
      return absl::InvalidArgumentError("grammar: neither a form of the text nor tool calls");
  }
  return to;
}

}  // namespace

absl::StatusOr<EngineRequest> FromProto(internal::SubmitRequest request) {
  EngineRequest out;
  out.sampling = SamplingOf(request);
  out.stopping = StoppingOf(request.stopping());
  out.request_id = std::move(*request.mutable_request_id());
  out.prompt.assign(request.prompt().begin(), request.prompt().end());
  for (internal::MediaSpan& span : *request.mutable_media()) {
    FACET_ASSIGN_OR_RETURN(RequestMedia media, MediaOf(std::move(span)));
    out.media.push_back(std::move(media));
  }
  if (request.n() != 0) out.n = request.n();
  if (request.want_prompt_logprobs()) out.prompt_logprobs = request.top_prompt_logprobs();
  if (request.has_reasoning_budget()) out.reasoning = ReasoningOf(request.reasoning_budget());
  if (request.has_grammar()) {
    FACET_ASSIGN_OR_RETURN(out.grammar, GrammarOf(std::move(*request.mutable_grammar())));
  }
  out.cache_salt = std::move(*request.mutable_cache_salt());
  out.priority = request.priority();
  if (request.timeout_ms() != 0) out.timeout = absl::Milliseconds(request.timeout_ms());
  return out;
}

internal::SequenceOutput ToProto(const EngineOutput& output) {
  internal::SequenceOutput out;
  out.set_id(output.id);
  out.set_index(output.index);
  if (output.started.has_value()) {
    out.mutable_started()->set_cached_tokens(output.started->cached_tokens);
    out.mutable_started()->set_queue_seconds(absl::ToDoubleSeconds(output.started->queued));
    for (const std::string& what : output.started->not_enforced) {
      out.mutable_started()->add_not_enforced(what);
    }
  }
  for (const SampledToken& token : output.prompt) Fill(token, out.add_prompt());
  for (const SampledToken& token : output.tokens) Fill(token, out.add_tokens());
  if (output.finish.has_value()) Fill(*output.finish, out.mutable_finish());
  return out;
}

}  // namespace facet
