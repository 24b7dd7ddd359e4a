#ifndef FACET_MODEL_TESTING_FAKE_CHECKPOINT_H_
#define FACET_MODEL_TESTING_FAKE_CHECKPOINT_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/checkpoint.h"

namespace facet::testing {

// A checkpoint of names and shapes without data: the published models in full size cost nothing.
class FakeCheckpoint : public Checkpoint {
 public:
  // Replaces a tensor of that name.
  void Add(const std::string& name, std::vector<int64_t> shape, DType dtype = DType::kBF16) {
    tensors_[name] = {dtype, std::move(shape), {}};
    unsupported_.erase(name);
  }
  void AddUnsupported(const std::string& name, const std::string& stored_type) {
    unsupported_[name] = stored_type;
    tensors_.erase(name);
  }
  void Remove(const std::string& name) { tensors_.erase(name); }

  const TensorInfo* Find(absl::string_view name) const override {
    const auto it = tensors_.find(std::string(name));
    return it == tensors_.end() ? nullptr : &it->second;
  }
  std::string StoredType(absl::string_view name) const override {
    const auto it = unsupported_.find(std::string(name));
    if (it != unsupported_.end()) return it->second;
    const TensorInfo* tensor = Find(name);
    return tensor == nullptr ? "" : Name(tensor->dtype);
  }
  std::vector<std::string> TensorNames() const override {
    std::map<std::string, int> names;
    for (const auto& [name, tensor] : tensors_) names[name];
    for (const auto& [name, type] : unsupported_) names[name];
    std::vector<std::string> sorted;
    for (const auto& [name, unused] : names) sorted.push_back(name);
    return sorted;
  }
  std::string Fingerprint() const override { return "fake"; }

 private:
  std::map<std::string, TensorInfo> tensors_;
  std::map<std::string, std::string> unsupported_;
};

}  // namespace facet::testing

#endif  // FACET_MODEL_TESTING_FAKE_CHECKPOINT_H_
