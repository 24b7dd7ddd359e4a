#include "shard/step_plan_codec.h"

#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace facet {
namespace {

constexpr uint8_t kMagic[] = {'F', 'P'};
constexpr uint8_t kVersion = 3;

uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
int64_t UnZigZag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

class Writer {
 public:
  void Byte(uint8_t value) { bytes_.push_back(value); }

  void Unsigned(uint64_t value) {
    for (; value >= 0x80; value >>= 7) Byte(static_cast<uint8_t>(value | 0x80));
    Byte(static_cast<uint8_t>(value));
  }

  void Signed(int64_t value) { Unsigned(ZigZag(value)); }

  void List(const std::vector<int32_t>& values) {
    Unsigned(values.size());
    int64_t previous = 0;
    for (int32_t value : values) {
      Signed(value - previous);
      previous = value;
    }
  }

  void Bytes(absl::string_view bytes) {
    Unsigned(bytes.size());
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }

  std::vector<uint8_t> Take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
};

// Reads what Writer wrote. Values are checked against their limits as they are read.
class Reader {
 public:
  explicit Reader(absl::Span<const uint8_t> bytes) : bytes_(bytes) {}

  absl::StatusOr<uint8_t> Byte() {
    if (place_ == bytes_.size()) return Error("is cut off");
    return bytes_[place_++];
  }

  absl::StatusOr<uint64_t> Unsigned() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      FACET_ASSIGN_OR_RETURN(const uint8_t byte, Byte());
      const uint64_t bits = byte & 0x7f;
      if (shift == 63 && bits > 1) break;
      value |= bits << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return Error("has a number of more than 64 bits");
  }

  absl::StatusOr<int64_t> Signed() {
    FACET_ASSIGN_OR_RETURN(const uint64_t value, Unsigned());
    return UnZigZag(value);
  }

  // A signed number in [low, high].
  absl::StatusOr<int64_t> SignedIn(const char* field, int64_t low, int64_t high) {
    FACET_ASSIGN_OR_RETURN(const int64_t value, Signed());
    FACET_RETURN_IF_ERROR(CheckRange(field, value, low, high));
    return value;
  }

  // A count of things of at least one byte each.
  absl::StatusOr<size_t> Count(const char* field) {
    FACET_ASSIGN_OR_RETURN(const uint64_t count, Unsigned());
    if (count > bytes_.size() - place_) {
      return Error(absl::StrCat("says ", count, " ", field, " where ", bytes_.size() - place_,
                                " bytes are left"));
    }
    return static_cast<size_t>(count);
  }

  absl::StatusOr<std::string> Bytes(const char* field) {
    FACET_ASSIGN_OR_RETURN(const size_t count, Count(field));
    const auto* first = reinterpret_cast<const char*>(bytes_.data()) + place_;
    place_ += count;
    return std::string(first, count);
  }

  // An unsigned number in [low, high].
  absl::StatusOr<int64_t> UnsignedIn(const char* field, int64_t low, int64_t high) {
    FACET_ASSIGN_OR_RETURN(const uint64_t value, Unsigned());
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return Error(absl::StrCat("has ", field, " ", value, ", must be at most ", high));
    }
    FACET_RETURN_IF_ERROR(CheckRange(field, static_cast<int64_t>(value), low, high));
    return static_cast<int64_t>(value);
  }

  absl::Status List(const char* field, int64_t low, std::vector<int32_t>* values) {
    FACET_ASSIGN_OR_RETURN(const size_t count, Count(field));
    values->reserve(count);
    int64_t value = 0;
    for (size_t i = 0; i < count; ++i) {
      FACET_ASSIGN_OR_RETURN(const int64_t difference, Signed());
      // `value` is within 32 bits; so is any difference of two such within 33.
      FACET_RETURN_IF_ERROR(CheckRange(field, difference, -kMaxDifference, kMaxDifference));
      value += difference;
      FACET_RETURN_IF_ERROR(CheckRange(field, value, low, std::numeric_limits<int32_t>::max()));
      values->push_back(static_cast<int32_t>(value));
    }
    return absl::OkStatus();
  }

  absl::Status CheckRange(const char* field, int64_t value, int64_t low, int64_t high) const {
    if (value >= low && value <= high) return absl::OkStatus();
    return Error(absl::StrCat("has ", field, " ", value, ", must be in [", low, ", ", high, "]"));
  }

  absl::Status Error(absl::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat("step plan of ", bytes_.size(), " bytes ", what, ", at byte ", place_));
  }

  bool at_end() const { return place_ == bytes_.size(); }

 private:
  static constexpr int64_t kMaxDifference = int64_t{1} << 33;

  absl::Span<const uint8_t> bytes_;
  size_t place_ = 0;
};

void WriteCopies(const std::vector<PageCopy>& copies, Writer& writer) {
  writer.Unsigned(copies.size());
  for (const PageCopy& copy : copies) {
    writer.Signed(copy.from);
    writer.Signed(copy.to);
  }
}

absl::Status ReadCopies(const char* field, Reader& reader, std::vector<PageCopy>* copies) {
  constexpr int64_t kMaxInt32 = std::numeric_limits<int32_t>::max();
  FACET_ASSIGN_OR_RETURN(const size_t count, reader.Count(field));
  copies->reserve(count);
  for (size_t i = 0; i < count; ++i) {
    PageCopy copy;
    FACET_ASSIGN_OR_RETURN(copy.from, reader.SignedIn(field, 0, kMaxInt32));
    FACET_ASSIGN_OR_RETURN(copy.to, reader.SignedIn(field, 0, kMaxInt32));
    copies->push_back(copy);
  }
  return absl::OkStatus();
}

void WriteSoftTokens(const SequenceStep& step, Writer& writer) {
  writer.Unsigned(step.soft_tokens.size());
  int32_t end = step.start_position;
  for (const SoftTokens& run : step.soft_tokens) {
    writer.Unsigned(static_cast<uint64_t>(run.position - end));
    writer.Unsigned(static_cast<uint64_t>(run.count));
    writer.Byte(static_cast<uint8_t>(run.kind));
    writer.Byte(run.dtype == DType::kBF16);
    writer.Bytes(run.rows);
    end = run.end();
  }
}

// The last of the step's fields: its positions are known.
absl::Status ReadSoftTokens(Reader& reader, SequenceStep* step) {
  FACET_ASSIGN_OR_RETURN(const size_t runs, reader.Count("soft_tokens"));
  int64_t place = step->start_position;
  const int64_t last = place + static_cast<int64_t>(step->tokens.size());
  for (size_t i = 0; i < runs; ++i) {
    FACET_ASSIGN_OR_RETURN(const int64_t gap,
                           reader.UnsignedIn("gap before soft tokens", 0, last - place));
    place += gap;
    FACET_ASSIGN_OR_RETURN(const int64_t count,
                           reader.UnsignedIn("count of soft tokens", 1, last - place));
    FACET_ASSIGN_OR_RETURN(const uint8_t kind, reader.Byte());
    FACET_RETURN_IF_ERROR(
        reader.CheckRange("kind of media", kind, 0, static_cast<int64_t>(MediaKind::kAudio)));
    FACET_ASSIGN_OR_RETURN(const uint8_t is_bf16, reader.Byte());
    FACET_RETURN_IF_ERROR(reader.CheckRange("type of soft tokens", is_bf16, 0, 1));
    FACET_ASSIGN_OR_RETURN(std::string rows, reader.Bytes("bytes of soft tokens"));
    if (rows.empty() || rows.size() % static_cast<size_t>(count) != 0) {
      return reader.Error(absl::StrCat("has ", rows.size(), " bytes for ", count, " soft tokens"));
    }
    step->soft_tokens.push_back(OwnSoftTokens(
        static_cast<int32_t>(place), static_cast<int32_t>(count), static_cast<MediaKind>(kind),
        is_bf16 != 0 ? DType::kBF16 : DType::kF32, std::move(rows)));
    place += count;
  }
  return absl::OkStatus();
}

void WriteSequence(const SequenceStep& step, Writer& writer) {
  writer.Signed(step.sequence_id);
  writer.Signed(step.start_position);
  writer.Signed(step.logits_from);
  writer.List(step.tokens);
  writer.List(step.global_pages);
  writer.List(step.sliding_pages);
  WriteSoftTokens(step, writer);
}

absl::StatusOr<SequenceStep> ReadSequence(Reader& reader) {
  constexpr int64_t kMaxInt32 = std::numeric_limits<int32_t>::max();
  SequenceStep step;
  FACET_ASSIGN_OR_RETURN(step.sequence_id, reader.Signed());
  FACET_ASSIGN_OR_RETURN(step.start_position, reader.SignedIn("start_position", 0, kMaxInt32));
  FACET_ASSIGN_OR_RETURN(step.logits_from, reader.SignedIn("logits_from", 0, kMaxInt32));
  FACET_RETURN_IF_ERROR(reader.List("tokens", 0, &step.tokens));
  FACET_RETURN_IF_ERROR(reader.List("global_pages", -1, &step.global_pages));
  FACET_RETURN_IF_ERROR(reader.List("sliding_pages", -1, &step.sliding_pages));
  const int64_t tokens = static_cast<int64_t>(step.tokens.size());
  if (tokens == 0) return reader.Error("has a sequence without tokens");
  FACET_RETURN_IF_ERROR(reader.CheckRange("logits_from", step.logits_from, 0, tokens));
  FACET_RETURN_IF_ERROR(
      reader.CheckRange("end position", step.start_position + tokens, 1, kMaxInt32));
  FACET_RETURN_IF_ERROR(ReadSoftTokens(reader, &step));
  return step;
}

absl::Status ReadHeader(Reader& reader) {
  for (uint8_t expected : kMagic) {
    FACET_ASSIGN_OR_RETURN(const uint8_t byte, reader.Byte());
    if (byte != expected) return reader.Error("does not start as one");
  }
  FACET_ASSIGN_OR_RETURN(const uint8_t version, reader.Byte());
  if (version != kVersion) {
    return reader.Error(
        absl::StrCat("is of version ", version, ", this program reads version ", kVersion));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<uint8_t> EncodeStepPlan(const StepPlan& plan) {
  Writer writer;
  for (uint8_t byte : kMagic) writer.Byte(byte);
  writer.Byte(kVersion);
  writer.Signed(static_cast<int32_t>(plan.kind));
  writer.Signed(plan.step);
  WriteCopies(plan.global_copies, writer);
  WriteCopies(plan.sliding_copies, writer);
  writer.Unsigned(plan.sequences.size());
  for (const SequenceStep& step : plan.sequences) WriteSequence(step, writer);
  return writer.Take();
}

absl::StatusOr<StepPlan> DecodeStepPlan(absl::Span<const uint8_t> bytes) {
  Reader reader(bytes);
  FACET_RETURN_IF_ERROR(ReadHeader(reader));
  StepPlan plan;
  FACET_ASSIGN_OR_RETURN(const int64_t kind,
                         reader.SignedIn("kind", 0, static_cast<int64_t>(StepPlan::Kind::kStop)));
  plan.kind = static_cast<StepPlan::Kind>(kind);
  FACET_ASSIGN_OR_RETURN(plan.step, reader.Signed());
  FACET_RETURN_IF_ERROR(ReadCopies("global_copies", reader, &plan.global_copies));
  FACET_RETURN_IF_ERROR(ReadCopies("sliding_copies", reader, &plan.sliding_copies));
  FACET_ASSIGN_OR_RETURN(const size_t count, reader.Count("sequences"));
  const bool copies = !plan.global_copies.empty() || !plan.sliding_copies.empty();
  if ((count > 0 || copies) && plan.kind != StepPlan::Kind::kRun) {
    return reader.Error("has sequences or copies but does not run");
  }
  for (size_t i = 0; i < count; ++i) {
    FACET_ASSIGN_OR_RETURN(SequenceStep step, ReadSequence(reader));
    plan.sequences.push_back(std::move(step));
  }
  if (!reader.at_end()) return reader.Error("goes on after its end");
  return plan;
}

}  // namespace facet
