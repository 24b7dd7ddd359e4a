#include "model/tokenizer/incremental_decoder.h"

#include "absl/strings/string_view.h"
#include "model/tokenizer/utf8.h"

namespace facet {

void IncrementalDecoder::Append(int32_t id, std::string* text) {
  const bool skipped = skip_special_ && tokenizer_->IsSpecial(id);
  uint8_t byte;
  if (!skipped && tokenizer_->IsByte(id, &byte)) {
    AppendByte(byte, text);
    return;
  }
  FlushTruncated(text);
  if (skipped) return;
  const absl::string_view piece = tokenizer_->IdToText(id);
  text->append(piece.data(), piece.size());
}

void IncrementalDecoder::AppendByte(uint8_t byte, std::string* text) {
  pending_[pending_size_++] = static_cast<char>(byte);
  // At most two rounds: a byte that does not fit ends the code point before it and may begin one.
  while (pending_size_ > 0) {
    const Utf8Step step = StepUtf8(absl::string_view(pending_, static_cast<size_t>(pending_size_)));
    if (step.kind == Utf8Kind::kTruncated) return;
    if (step.kind == Utf8Kind::kWhole) {
      text->append(pending_, static_cast<size_t>(step.size));
    } else {
      text->append(kReplacementCharacter.data(), kReplacementCharacter.size());
    }
    pending_size_ -= step.size;
    for (int i = 0; i < pending_size_; ++i) pending_[i] = pending_[i + step.size];
  }
}

void IncrementalDecoder::FlushTruncated(std::string* text) {
  if (pending_size_ == 0) return;
  text->append(kReplacementCharacter.data(), kReplacementCharacter.size());
  pending_size_ = 0;
}

}  // namespace facet
