#ifndef FACET_SERVICES_AUDIO_AUDIO_TOWER_H_
#define FACET_SERVICES_AUDIO_AUDIO_TOWER_H_

// The audio network: mel features to soft tokens (formulas: the model document, "Audio tower"; a
// Conformer, Gulati et al. 2020, arXiv:2005.08100).

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/backend.h"
#include "model/checkpoint.h"
#include "services/audio/audio_config.h"
#include "shard/transformer/rank_options.h"

namespace facet {

// What a clip becomes.
struct SoftAudio {
  int count = 0;             // soft tokens
  std::vector<float> tower;  // [count, tower output size]: before the projection
  std::vector<float> soft;   // [count, text hidden size]
};

// Thread-compatible: one batch at a time. The backend must outlive it.
class AudioTower {
 public:
  // Errors as AudioWeights::Load.
  static absl::StatusOr<std::unique_ptr<AudioTower>> Load(const AudioConfig& config,
                                                          const Checkpoint& checkpoint,
                                                          ComputeMode mode, Backend* backend);
  ~AudioTower();

  // Clips of any length, each as MelFeatures gives it: [frames, kMelBands], at least one frame. A
  // clip's result does not depend on the others of its batch. ResourceExhausted without memory.
  absl::StatusOr<std::vector<SoftAudio>> Encode(absl::Span<const std::vector<float>> clips);

  const AudioConfig& config() const;

 private:
  struct Impl;
  explicit AudioTower(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace facet

#endif  // FACET_SERVICES_AUDIO_AUDIO_TOWER_H_
