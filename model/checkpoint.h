#ifndef FACET_MODEL_CHECKPOINT_H_
#define FACET_MODEL_CHECKPOINT_H_

// The one interface of all checkpoint readers: tensor name -> element type, shape, bytes.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/dtype.h"

namespace facet {

// A tensor of a checkpoint. Row-major, little-endian, dense: `bytes.size()` is the product of
// `shape` times SizeOf(dtype).
struct TensorInfo {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  // The mapped file: valid while the Checkpoint lives, and not necessarily aligned to the element
  // size. Pages are read from disk on first use.
  absl::Span<const uint8_t> bytes;
};

// Thread-safe: immutable once opened.
//
// The files must stay as they are while a Checkpoint is open: one that is cut short later ends the
// process (SIGBUS) when a lost page is touched. Replacing a file by renaming another over it is
// harmless.
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  // nullptr: no such tensor, or its element type is none of DType (see StoredType).
  virtual const TensorInfo* Find(absl::string_view name) const = 0;

  // The element type as the file spells it ("BF16", "I64", ...), also of tensors that Find does
  // not return. Empty: no such tensor.
  virtual std::string StoredType(absl::string_view name) const = 0;

  // All tensors of all files, whatever their type; sorted.
  virtual std::vector<std::string> TensorNames() const = 0;

  // Equal on ranks that read the same checkpoint, different (but for a chance of 2^-64) where
  // config.json, a header, a file's size or a sampled piece of the data differs. Cheap: never reads
  // all weights, so a change elsewhere in the data goes unseen.
  virtual std::string Fingerprint() const = 0;
};

// Opens `model_dir`: a single model.safetensors, or the shards that model.safetensors.index.json
// lists. NotFound if there is neither; InvalidArgument (naming file and tensor) if a header is
// malformed, contradicts itself or its file's size, or the index names what is not there.
absl::StatusOr<std::unique_ptr<Checkpoint>> OpenCheckpoint(const std::string& model_dir);

}  // namespace facet

#endif  // FACET_MODEL_CHECKPOINT_H_
