#include "model/checkpoint.h"

#include <functional>
#include <list>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "model/fingerprint.h"
#include "model/json.h"
#include "model/safetensors.h"

namespace facet {
namespace {

constexpr char kSingleFile[] = "model.safetensors";
constexpr char kIndexFile[] = "model.safetensors.index.json";
constexpr size_t kMaxIndexBytes = size_t{64} << 20;
constexpr size_t kMaxConfigBytes = size_t{4} << 20;
constexpr size_t kMaxShards = 1024;

std::optional<DType> SupportedType(absl::string_view stored_type) {
  if (stored_type == "BF16") return DType::kBF16;
  if (stored_type == "F16") return DType::kF16;
  if (stored_type == "F32") return DType::kF32;
  return std::nullopt;
}

class SafetensorsCheckpoint : public Checkpoint {
 public:
  // Adds the tensors of a file that `wanted` names, which must be there, or all if it is nullptr.
  absl::Status AddFile(const std::string& dir, const std::string& name,
                       const std::vector<std::string>* wanted);
  void AddToFingerprint(absl::string_view bytes) { fingerprint_.Add(bytes); }

  const TensorInfo* Find(absl::string_view name) const override {
    const auto it = tensors_.find(name);
    return it == tensors_.end() || !it->second.supported ? nullptr : &it->second.info;
  }
  std::string StoredType(absl::string_view name) const override {
    const auto it = tensors_.find(name);
    return it == tensors_.end() ? "" : it->second.stored_type;
  }
  std::vector<std::string> TensorNames() const override {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors_) names.push_back(name);
    return names;
  }
  std::string Fingerprint() const override {
    return absl::StrFormat("%016x", fingerprint_.value());
  }

 private:
  struct Tensor {
    std::string stored_type;
    bool supported;
    TensorInfo info;
  };

  std::list<SafetensorsFile> files_;
  std::map<std::string, Tensor, std::less<>> tensors_;
  FingerprintBuilder fingerprint_;
};

absl::Status SafetensorsCheckpoint::AddFile(const std::string& dir, const std::string& name,
                                            const std::vector<std::string>* wanted) {
  const std::string path = absl::StrCat(dir, "/", name);
  FACET_ASSIGN_OR_RETURN(SafetensorsFile opened, SafetensorsFile::Open(path));
  const SafetensorsFile& file = files_.emplace_back(std::move(opened));
  fingerprint_.Add(name);
  fingerprint_.Add(file.fingerprint());

  std::map<std::string, const SafetensorsEntry*> entries;
  for (const SafetensorsEntry& entry : file.entries()) entries[entry.name] = &entry;
  if (wanted != nullptr) {
    std::map<std::string, const SafetensorsEntry*> chosen;
    for (const std::string& tensor : *wanted) {
      const auto it = entries.find(tensor);
      if (it == entries.end()) {
        return absl::InvalidArgumentError(absl::StrCat(path, ": the index says that tensor ",
                                                       Quoted(tensor), " is here, but it is not"));
      }
      chosen.insert(*it);
    }
    entries = std::move(chosen);
  }
  for (const auto& [tensor, entry] : entries) {
    const std::optional<DType> dtype = SupportedType(entry->dtype);
    tensors_[tensor] = {entry->dtype, dtype.has_value(),
                        TensorInfo{dtype.value_or(DType::kF32), entry->shape, file.bytes(*entry)}};
  }
  return absl::OkStatus();
}

// A name within the checkpoint's own folder; it may be a link.
bool IsPlainFileName(const std::string& name) {
  return absl::EndsWith(name, ".safetensors") && name.size() <= 255 &&
         name.find_first_of({"/\0", 2}) == name.npos && name[0] != '.';
}

// File name -> the tensors that the index says it holds.
using WeightMap = std::map<std::string, std::vector<std::string>>;

absl::StatusOr<WeightMap> ParseIndex(const nlohmann::json& json) {
  absl::Status error;
  const JsonObject weight_map = JsonObject(json, error).Object("weight_map");
  WeightMap shards;
  for (const std::string& tensor : weight_map.Keys()) {
    const nlohmann::json* file = weight_map.Find(tensor);
    if (file == nullptr || !file->is_string() || !IsPlainFileName(file->get<std::string>())) {
      weight_map.Fail(Quoted(tensor), (file == nullptr ? "null" : Excerpt(*file)) +
                                          " is not the name of a .safetensors file");
      break;
    }
    shards[file->get<std::string>()].push_back(tensor);
  }
  FACET_RETURN_IF_ERROR(error);
  if (shards.empty()) return absl::InvalidArgumentError("weight_map: names no tensor");
  if (shards.size() > kMaxShards) {
    return absl::InvalidArgumentError(absl::StrCat(
        "weight_map: names ", shards.size(), " files, at most ", kMaxShards, " are accepted"));
  }
  return shards;
}

absl::Status AddShards(const std::string& dir, SafetensorsCheckpoint& checkpoint) {
  const std::string path = absl::StrCat(dir, "/", kIndexFile);
  FACET_ASSIGN_OR_RETURN(const nlohmann::json json,
                         ReadJsonFile(path, {.max_bytes = kMaxIndexBytes}));
  const absl::StatusOr<WeightMap> shards = ParseIndex(json);
  if (!shards.ok()) return Annotate(shards.status(), path);
  for (const auto& [file, tensors] : *shards) {
    const absl::Status status = checkpoint.AddFile(dir, file, &tensors);
    if (absl::IsNotFound(status)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": names ", Quoted(file), ", which is not there"));
    }
    FACET_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Checkpoint>> OpenCheckpoint(const std::string& model_dir) {
  auto checkpoint = std::make_unique<SafetensorsCheckpoint>();
  absl::Status status = checkpoint->AddFile(model_dir, kSingleFile, nullptr);
  if (absl::IsNotFound(status)) status = AddShards(model_dir, *checkpoint);
  if (absl::IsNotFound(status)) {
    return absl::NotFoundError(
        absl::StrCat(model_dir, ": there is neither ", kSingleFile, " nor ", kIndexFile));
  }
  FACET_RETURN_IF_ERROR(status);
  const absl::StatusOr<std::string> config =
      ReadFile(absl::StrCat(model_dir, "/config.json"), kMaxConfigBytes);
  if (!config.ok() && !absl::IsNotFound(config.status())) return config.status();
  checkpoint->AddToFingerprint(config.ok() ? *config : "");
  return checkpoint;
}

}  // namespace facet
