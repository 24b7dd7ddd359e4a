// Seconds that a tower takes for a batch of made-up images or clips, on the clock and of the CPU,
// as JSON; or what a core can do at most. encoders.py calls it.

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "kernels/cpu/cpu_backend.h"
#include "model/checkpoint.h"
#include "services/audio/audio_tower.h"
#include "services/audio/mel_features.h"
#include "services/vision/vision_tower.h"
#include "tests/bench/limit_loops.h"

ABSL_FLAG(std::string, model, "", "Folder of the checkpoint.");
ABSL_FLAG(std::string, kind, "vision", "vision, audio, or peak: the multiply-adds of one core.");
ABSL_FLAG(int, batch, 1, "Images or clips at once.");
ABSL_FLAG(int, threads, 2, "Threads that compute.");
ABSL_FLAG(std::string, dtype, "f32", "f32 or bf16.");
ABSL_FLAG(int, rounds, 2, "Of which the fastest counts.");
ABSL_FLAG(int, height, 384, "Pixels of an image.");
ABSL_FLAG(int, width, 384, "Pixels of an image.");
ABSL_FLAG(int, frames, 999, "Mel frames of a clip: 100 a second.");

namespace facet {
namespace {

struct Seconds {
  double clock = 1e9;
  double cpu = 1e9;
};

double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

template <typename Tower, typename Item>
Seconds Measure(Tower& tower, const std::vector<Item>& batch) {
  Seconds best;
  for (int round = 0; round < absl::GetFlag(FLAGS_rounds); ++round) {
    const absl::Time begin = absl::Now();
    const double cpu = CpuSeconds();
    const auto soft = tower.Encode(batch);
    FACET_CHECK(soft.ok()) << soft.status();
    best.clock = std::min(best.clock, absl::ToDoubleSeconds(absl::Now() - begin));
    best.cpu = std::min(best.cpu, CpuSeconds() - cpu);
  }
  return best;
}

// Of one core, in time of the CPU: other programs do not count.
double PeakGflops() {
  constexpr long kRounds = 20000000;
  double best = 0;
  for (int run = 0; run < 5; ++run) {
    const double begin = CpuSeconds();
    bench::MultiplyAdd(kRounds);
    best = std::max(best, bench::kFlopPerRound * kRounds / (CpuSeconds() - begin) / 1e9);
  }
  return best;
}

Seconds Run() {
  const std::string model = absl::GetFlag(FLAGS_model);
  const auto checkpoint = OpenCheckpoint(model);
  FACET_CHECK(checkpoint.ok()) << checkpoint.status();
  CpuOptions cpu;
  cpu.threads = absl::GetFlag(FLAGS_threads);
  const auto backend = CpuBackend::Create(cpu);
  FACET_CHECK(backend.ok()) << backend.status();
  const ComputeMode mode =
      absl::GetFlag(FLAGS_dtype) == "bf16" ? ComputeMode::kBF16 : ComputeMode::kF32;
  std::mt19937 random(1);
  const auto batch = static_cast<size_t>(absl::GetFlag(FLAGS_batch));
  if (absl::GetFlag(FLAGS_kind) == "vision") {
    const auto config = LoadVisionConfig(model);
    FACET_CHECK(config.ok()) << config.status();
    auto tower = VisionTower::Load(*config, **checkpoint, mode, backend->get());
    FACET_CHECK(tower.ok()) << tower.status();
    RgbImage image(absl::GetFlag(FLAGS_height), absl::GetFlag(FLAGS_width));
    for (uint8_t& value : image.pixels) value = random() & 0xff;
    return Measure(**tower, std::vector<RgbImage>(batch, image));
  }
  const auto config = LoadAudioConfig(model);
  FACET_CHECK(config.ok()) << config.status();
  auto tower = AudioTower::Load(*config, **checkpoint, mode, backend->get());
  FACET_CHECK(tower.ok()) << tower.status();
  std::normal_distribution<float> noise(-3, 1);
  std::vector<float> mel(static_cast<size_t>(absl::GetFlag(FLAGS_frames)) * kMelBands);
  for (float& value : mel) value = noise(random);
  return Measure(**tower, std::vector<std::vector<float>>(batch, mel));
}

}  // namespace
}  // namespace facet

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  if (absl::GetFlag(FLAGS_kind) == "peak") {
    std::printf("{\"gflops\": %.2f}\n", facet::PeakGflops());
    return 0;
  }
  const facet::Seconds seconds = facet::Run();
  std::printf("{\"seconds\": %.6f, \"cpu\": %.6f}\n", seconds.clock, seconds.cpu);
}
