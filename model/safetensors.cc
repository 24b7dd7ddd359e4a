#include "model/safetensors.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/fingerprint.h"
#include "model/json.h"

namespace facet {
namespace {

using Json = nlohmann::json;

constexpr int kMaxRank = 16;
constexpr size_t kLengthBytes = 8;
constexpr char kMetadata[] = "__metadata__";

// Bits of an element; 0: no such type.
uint64_t BitsOf(const std::string& dtype) {
  static const std::map<std::string, uint64_t> bits = {
      {"F4", 4},   {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"BOOL", 8},    {"U8", 8},
      {"I8", 8},   {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"U16", 16},
      {"I16", 16}, {"F16", 16},    {"BF16", 16},   {"U32", 32},    {"I32", 32},
      {"F32", 32}, {"U64", 64},    {"I64", 64},    {"F64", 64},    {"C64", 64},
  };
  const auto it = bits.find(dtype);
  return it == bits.end() ? 0 : it->second;
}

absl::Status TensorError(const std::string& name, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("tensor ", Quoted(name), ": ", problem));
}

// A member that is a list of numbers from 0 to INT64_MAX.
absl::StatusOr<std::vector<int64_t>> Numbers(const JsonObject& in, absl::string_view key) {
  const Json* list = in.Find(key);
  if (list == nullptr || !list->is_array() || list->size() > kMaxRank) {
    return absl::InvalidArgumentError(absl::StrCat(key, " is ",
                                                   list == nullptr ? "missing" : Excerpt(*list),
                                                   ", not a list of at most ", kMaxRank));
  }
  std::vector<int64_t> numbers;
  for (const Json& value : *list) {
    if (!value.is_number_unsigned() || value.get<uint64_t>() > uint64_t{INT64_MAX}) {
      return absl::InvalidArgumentError(absl::StrCat(key, " has ", Excerpt(value)));
    }
    numbers.push_back(value.get<int64_t>());
  }
  return numbers;
}

// Bytes of `shape` elements; nullopt if that overflows or is no whole number.
std::optional<uint64_t> BytesOf(const std::vector<int64_t>& shape, uint64_t bits) {
  uint64_t total = bits;
  for (const int64_t d : shape) {
    if (__builtin_mul_overflow(total, static_cast<uint64_t>(d), &total)) return std::nullopt;
  }
  return total % 8 == 0 ? std::optional<uint64_t>(total / 8) : std::nullopt;
}

absl::StatusOr<SafetensorsEntry> ParseEntry(const std::string& name, const Json& json,
                                            uint64_t data_size) {
  absl::Status error;
  const JsonObject in(json, error);
  SafetensorsEntry entry;
  entry.name = name;
  entry.dtype = in.String("dtype");
  FACET_RETURN_IF_ERROR(error);
  FACET_ASSIGN_OR_RETURN(entry.shape, Numbers(in, "shape"));
  FACET_ASSIGN_OR_RETURN(const std::vector<int64_t> offsets, Numbers(in, "data_offsets"));
  if (offsets.size() != 2 || offsets[0] > offsets[1]) {
    return absl::InvalidArgumentError("data_offsets are not a begin and an end");
  }
  entry.begin = static_cast<uint64_t>(offsets[0]);
  entry.end = static_cast<uint64_t>(offsets[1]);
  if (entry.end > data_size) {
    return absl::InvalidArgumentError(absl::StrCat("its data end at byte ", entry.end,
                                                   ", the file's at ", data_size,
                                                   ": is the file cut short?"));
  }
  const uint64_t bits = BitsOf(entry.dtype);
  if (bits == 0) return absl::InvalidArgumentError("unknown dtype " + Quoted(entry.dtype));
  const std::optional<uint64_t> size = BytesOf(entry.shape, bits);
  if (!size.has_value() || *size != entry.end - entry.begin) {
    return absl::InvalidArgumentError(
        absl::StrCat("shape and dtype need ", size.has_value() ? absl::StrCat(*size) : "too many",
                     " bytes, data_offsets hold ", entry.end - entry.begin));
  }
  return entry;
}

// `entries` are sorted by begin.
absl::Status CheckCoverage(const std::vector<SafetensorsEntry>& entries, uint64_t data_size) {
  uint64_t covered = 0;
  const SafetensorsEntry* previous = nullptr;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.begin < covered) {
      return TensorError(entry.name, "its data overlap those of " + Quoted(previous->name));
    }
    if (entry.begin > covered) {
      return TensorError(entry.name, absl::StrCat("bytes ", covered, " to ", entry.begin,
                                                  " before it belong to no tensor"));
    }
    covered = entry.end;
    previous = &entry;
  }
  if (covered == data_size) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the last ", data_size - covered, " bytes of the file belong to no tensor"));
}

absl::StatusOr<uint64_t> FingerprintOf(const MappedFile& file, absl::string_view header) {
  constexpr uint64_t kSamples = 64;
  constexpr uint64_t kSampleBytes = 64;
  const uint64_t size = file.bytes().size();
  FingerprintBuilder fingerprint;
  fingerprint.Add(size);
  fingerprint.Add(header);
  const uint64_t data_begin = kLengthBytes + header.size();
  for (uint64_t i = 0; i < kSamples; ++i) {
    const uint64_t begin = data_begin + (size - data_begin) / kSamples * i;
    std::string sample(std::min(kSampleBytes, size - begin), '\0');
    FACET_RETURN_IF_ERROR(file.ReadAt(begin, absl::MakeSpan(sample)));
    fingerprint.Add(sample);
  }
  return fingerprint.value();
}

}  // namespace

absl::StatusOr<std::vector<SafetensorsEntry>> ParseSafetensorsHeader(absl::string_view header,
                                                                     uint64_t data_size) {
  if (header.empty() || header[0] != '{') {
    return absl::InvalidArgumentError("the header does not start with {");
  }
  FACET_ASSIGN_OR_RETURN(
      const Json json,
      ParseJson(header, {.max_bytes = kMaxSafetensorsHeaderBytes, .max_depth = 8}));
  std::vector<SafetensorsEntry> entries;
  for (const auto& [name, value] : json.items()) {
    if (name == kMetadata) continue;
    absl::StatusOr<SafetensorsEntry> entry = ParseEntry(name, value, data_size);
    if (!entry.ok()) return TensorError(name, entry.status().message());
    entries.push_back(*std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  FACET_RETURN_IF_ERROR(CheckCoverage(entries, data_size));
  return entries;
}

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  absl::StatusOr<MappedFile> mapped = MappedFile::Open(path);
  if (!mapped.ok()) return Annotate(mapped.status(), path);
  SafetensorsFile file(*std::move(mapped));
  const absl::Status status = file.ReadHeader();
  if (!status.ok()) return Annotate(status, path);
  return file;
}

absl::Status SafetensorsFile::ReadHeader() {
  const uint64_t size = file_.bytes().size();
  if (size < kLengthBytes) {
    return absl::InvalidArgumentError(absl::StrCat(size, " bytes are no safetensors file"));
  }
  char prefix[kLengthBytes];
  FACET_RETURN_IF_ERROR(file_.ReadAt(0, absl::MakeSpan(prefix)));
  uint64_t header_size = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    header_size |= uint64_t{static_cast<uint8_t>(prefix[i])} << (8 * i);
  }
  if (header_size > size - kLengthBytes || header_size > kMaxSafetensorsHeaderBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a header of ", header_size,
                                                   " bytes in a file of ", size, " bytes; at most ",
                                                   kMaxSafetensorsHeaderBytes, " are accepted"));
  }
  std::string header(header_size, '\0');
  FACET_RETURN_IF_ERROR(file_.ReadAt(kLengthBytes, absl::MakeSpan(header)));
  const uint64_t data_begin = kLengthBytes + header_size;
  FACET_ASSIGN_OR_RETURN(entries_, ParseSafetensorsHeader(header, size - data_begin));
  data_ = file_.bytes().subspan(data_begin);
  FACET_ASSIGN_OR_RETURN(fingerprint_, FingerprintOf(file_, header));
  return file_.CheckSize();
}

}  // namespace facet
