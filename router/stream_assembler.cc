#include "router/stream_assembler.h"

#include <algorithm>

#include "router/token_logprob.h"

namespace facet {
namespace {

std::vector<int32_t> Sorted(const google::protobuf::RepeatedField<int32_t>& ids) {
  std::vector<int32_t> out(ids.begin(), ids.end());
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

StreamAssembler::StreamAssembler(const ServedModel* model, const GenerationSpec& spec)
    : tokenizer_(model->tokenizer.get()),
      show_special_(spec.show_special),
      logprobs_(spec.logprobs),
      min_tokens_(spec.stopping.min_tokens()),
      stop_ids_(Sorted(spec.stopping.stop_token_ids())),
      decoder_(tokenizer_, /*skip_special=*/!spec.show_special),
      stops_(spec.stop) {
  if (!spec.stopping.ignore_eos()) model_end_ids_ = Sorted(spec.stopping.end_token_ids());
}

bool StreamAssembler::Push(const google::protobuf::RepeatedPtrField<internal::TokenOutput>& tokens,
                           v1::Delta* delta) {
  std::string text;
  for (const internal::TokenOutput& token : tokens) {
    if (stops_.matched()) break;
    ++completion_tokens_;
    delta->add_token_ids(token.token_id());
    if (logprobs_.has_value()) *delta->add_logprobs() = ToTokenLogprob(token, *logprobs_);
    if (tokenizer_ == nullptr) continue;
    text.clear();
    AppendText(token, &text);
    if (completion_tokens_ <= min_tokens_) {
      delta->mutable_text()->append(text);
    } else {
      stops_.Push(text, delta->mutable_text());
    }
  }
  return stops_.matched();
}

bool StreamAssembler::Finish(v1::Delta* delta) {
  if (tokenizer_ == nullptr) return false;
  stops_.Push(decoder_.Finish(), delta->mutable_text());
  stops_.Finish(delta->mutable_text());
  return stops_.matched();
}

void StreamAssembler::AppendText(const internal::TokenOutput& token, std::string* text) {
  const int32_t id = token.token_id();
  const bool hidden = EndsGeneration(id);
  if (hidden) {
    text->append(decoder_.Finish());  // no later byte can complete what is pending
  } else {
    decoder_.Append(id, text);
  }
}

bool StreamAssembler::EndsGeneration(int32_t id) const {
  if (std::binary_search(stop_ids_.begin(), stop_ids_.end(), id)) return true;
  if (!std::binary_search(model_end_ids_.begin(), model_end_ids_.end(), id)) return false;
  // The model's end token is a control token as a rule: whoever asks for those sees it.
  return !(show_special_ && tokenizer_->IsSpecial(id));
}

bool StreamAssembler::IsEmpty(const v1::Delta& delta) {
  return delta.text().empty() && delta.token_ids().empty() && delta.logprobs().empty();
}

}  // namespace facet
