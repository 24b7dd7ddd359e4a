#include "shard/group/step_sampler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace facet {
namespace {

// Why no token could be chosen, if it was for the grammar: all that it allows are closed off.
absl::Status NothingLeft(absl::Span<const uint32_t> allowed, const SamplingParams& sampling,
                         absl::Span<const int32_t> masked) {
  std::vector<uint32_t> left(allowed.begin(), allowed.end());
  for (const absl::Span<const int32_t> closed :
       {absl::MakeConstSpan(sampling.suppress_tokens), masked}) {
    for (const int32_t id : closed) left[static_cast<size_t>(id / 32)] &= ~(1u << id % 32);
  }
  if (std::any_of(left.begin(), left.end(), [](uint32_t word) { return word != 0; })) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "grammar: each token that it allows next is closed off by suppress_tokens or by a limit of "
      "the request");
}

}  // namespace

StepSampler::StepSampler(int vocab_size, int threads, RequestDesk* desk)
    : vocab_size_(vocab_size),
      desk_(desk),
      pool_(threads),
      samplers_(static_cast<size_t>(pool_.threads())) {}

absl::StatusOr<std::vector<NewToken>> StepSampler::Sample(const Tensor& logits,
                                                          absl::Span<const LogitsRow> rows,
                                                          EngineOutputs* outputs) {
  FACET_RETURN_IF_ERROR(CheckShape(logits, rows));
  Assign(rows);
  pool_.ParallelFor(static_cast<int64_t>(tasks_.size()), [&](int64_t i) {
    Compute(logits, samplers_[static_cast<size_t>(ThreadPool::CurrentThread())],
            tasks_[static_cast<size_t>(i)]);
  });
  std::vector<NewToken> tokens;
  for (size_t i = 0; i < tasks_.size();) {
    if (tasks_[i].row.is_prompt) {
      i = ReportPrompt(i, outputs);
    } else {
      tokens.push_back(ReportToken(tasks_[i++], outputs));
    }
  }
  return tokens;
}

int StepSampler::FillMasks(absl::Span<const LogitsRow> rows) {
  int filled = 0;
  for (const LogitsRow& row : rows) {
    if (row.is_prompt) continue;
    const auto [live, index] = desk_->Find(row.sequence_id);
    if (live == nullptr) continue;
    auto& grammar = live->completions[static_cast<size_t>(index)].grammar;
    if (!grammar.has_value() || !grammar->mask.empty()) continue;
    if (!grammar->FillMask().ok()) grammar->mask.clear();  // Sample meets the error again
    ++filled;
  }
  return filled;
}

absl::Status StepSampler::CheckShape(const Tensor& logits, absl::Span<const LogitsRow> rows) const {
  const int64_t wanted = rows.empty() ? 0 : rows.back().row + 1;
  if (logits.rows == wanted && (wanted == 0 || logits.cols == vocab_size_)) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat("the step gave logits [", logits.rows, ", ", logits.cols,
                                          "], not [", wanted, ", ", vocab_size_, "]"));
}

// A prompt that is computed once more, after a preemption, has its log-probabilities out already.
void StepSampler::Assign(absl::Span<const LogitsRow> rows) {
  tasks_.clear();
  for (const LogitsRow& row : rows) {
    const auto [live, index] = desk_->Find(row.sequence_id);
    if (live == nullptr) continue;
    if (row.is_prompt) {
      if (!live->prompt_logprobs.has_value() || row.position < live->next_prompt_token) continue;
      live->next_prompt_token = row.position + 1;
    }
    tasks_.push_back({.row = row, .live = live, .index = index});
  }
}

void StepSampler::Compute(const Tensor& logits, Sampler& sampler, Task& task) const {
  const absl::Span<const float> row(logits.f32(task.row.row), static_cast<size_t>(vocab_size_));
  LiveRequest& live = *task.live;
  if (task.row.is_prompt) {
    const int32_t token = live.prompt[static_cast<size_t>(task.row.position)];
    task.result = sampler.Score(row, token, *live.prompt_logprobs);
    return;
  }
  LiveCompletion& completion = live.completions[static_cast<size_t>(task.index)];
  absl::Span<const int32_t> masked = live.stop.MaskedTokens(completion.generated);
  std::vector<int32_t> more;
  if (completion.reasoning.has_value()) {
    if (const auto forced = completion.reasoning->ForcedToken()) {
      task.result = sampler.Score(row, *forced, completion.sampling.logprobs.value_or(0));
      return;
    }
    if (const auto token = completion.reasoning->MaskedToken()) {
      more.assign(masked.begin(), masked.end());
      more.push_back(*token);
      masked = more;
    }
  }
  absl::Span<const uint32_t> allowed;
  if (completion.grammar.has_value()) {
    if (const absl::Status status = completion.grammar->FillMask(); !status.ok()) {
      task.result = status;
      return;
    }
    allowed = completion.grammar->mask;
  }
  task.result = sampler.Sample(row, completion.sampling, completion.counts, masked,
                               task.row.position, allowed);
  if (!task.result.ok() && !allowed.empty()) {
    if (const absl::Status status = NothingLeft(allowed, completion.sampling, masked);
        !status.ok()) {
      task.result = status;
    }
  }
}

// The rows of one prompt, from tasks_[first] on, as one output. Returns the first task after them.
size_t StepSampler::ReportPrompt(size_t first, EngineOutputs* outputs) {
  EngineOutput output;
  size_t i = first;
  for (; i < tasks_.size() && tasks_[i].row.is_prompt && tasks_[i].live == tasks_[first].live;
       ++i) {
    if (!tasks_[i].result.ok()) {
      ReportError(tasks_[i], outputs);
      return i + 1;
    }
    output.prompt.push_back(*std::move(tasks_[i].result));
  }
  desk_->Report(tasks_[first].live, std::move(output), outputs);
  return i;
}

NewToken StepSampler::ReportToken(Task& task, EngineOutputs* outputs) {
  NewToken out;
  out.sequence_id = task.row.sequence_id;
  if (!task.result.ok()) {
    ReportError(task, outputs);
    out.finished = true;
    return out;
  }
  LiveRequest& live = *task.live;
  LiveCompletion& completion = live.completions[static_cast<size_t>(task.index)];
  out.token = task.result->token;
  if (completion.grammar.has_value()) {
    // A token that thoughts are closed with was not chosen under the mask.
    if (const absl::Status status = completion.grammar->Accept(out.token); !status.ok()) {
      task.result = status;
      ReportError(task, outputs);
      out.finished = true;
      return out;
    }
  }
  ++completion.generated;
  if (completion.reasoning.has_value()) completion.reasoning->Add(out.token);
  if (live.counts_tokens) completion.counts.AddGenerated(out.token);
  FinishReason reason = live.stop.Check(out.token, completion.generated);
  // An end id of the checkpoint that is none of the request's.
  const bool ended = completion.grammar.has_value() && completion.grammar->gate.IsTerminated();
  if (ended && reason == FinishReason::kNone) reason = FinishReason::kStop;
  out.finished = reason != FinishReason::kNone;
  EngineOutput output;
  output.index = task.index;
  output.tokens.push_back(*std::move(task.result));
  if (out.finished) output.finish = EngineFinish{reason, absl::OkStatus(), absl::ZeroDuration()};
  desk_->Report(&live, std::move(output), outputs);
  return out;
}

void StepSampler::ReportError(const Task& task, EngineOutputs* outputs) {
  EngineOutput output;
  output.index = task.index;
  output.finish = EngineFinish{FinishReason::kError, task.result.status(), absl::ZeroDuration()};
  desk_->Report(task.live, std::move(output), outputs);
}

}  // namespace facet
