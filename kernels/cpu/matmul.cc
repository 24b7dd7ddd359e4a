#include "kernels/cpu/matmul.h"

#include <algorithm>

#include "kernels/cpu/scratch.h"
#include "kernels/cpu/thread_pool.h"

namespace facet::cpu {
namespace {

// Rates for the size of tasks only: what a core reads from memory, and its arithmetic.
constexpr double kBytesPerMicrosecond = 10e3;
constexpr double kFlopPerMicrosecond = 80e3;
constexpr double kTaskMicroseconds = 60;
constexpr double kInlineMicroseconds = 15;  // less is not worth waking a thread

constexpr int64_t kPanelGroup = 4;       // the kernels are best with whole groups
constexpr int64_t kManyTilesPanels = 8;  // 128 KiB of a block of k: half an L2 cache
constexpr int64_t kParallelPackBytes = 1 << 18;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

PanelFormat FormatOf(WeightFormat format, const MatMulKernels& kernels) {
  switch (format) {
    case WeightFormat::kF32:
      return PanelFormat::kF32;
    case WeightFormat::kBF16:
      return PanelFormat::kBf16;
    case WeightFormat::kBF16Dot:
      return kernels.bf16_dot ? PanelFormat::kBf16Dot : PanelFormat::kBf16;
  }
  return PanelFormat::kBf16;
}

// How one job is cut into tasks: blocks of panels times chunks of tokens. Chunks of one block are
// neighbours, so that the block's weights are still in a cache for the next one.
struct Plan {
  const MatMulJob* job;
  PanelFormat format;
  const uint8_t* x;  // packed tiles; the caller's own row where that is the same
  bool packed;
  int64_t token_bytes;  // of a packed token
  int64_t tile_tokens;
  int64_t tiles;
  int64_t first_tile;  // among the tiles of all jobs that have to be packed
  int64_t panel_bytes;
  int64_t panels;
  int64_t panels_per_task;
  int64_t tokens_per_task;
  int64_t token_chunks;
  int64_t first_task;
  double microseconds;  // on one core
};

void CutIntoTasks(Plan& plan, int threads) {
  const MatMulJob& job = *plan.job;
  const double flop_per_panel = 2.0 * kPanelRows * job.weights->in() * job.tokens;
  const double panel_us =
      std::max(plan.panel_bytes / kBytesPerMicrosecond, flop_per_panel / kFlopPerMicrosecond);
  plan.microseconds = panel_us * plan.panels;
  if (plan.tiles <= kFewTiles) {
    plan.tokens_per_task = job.tokens;
    const int64_t most = static_cast<int64_t>(kTaskMicroseconds / panel_us);
    const int64_t fair = CeilDiv(plan.panels, int64_t{4} * threads);
    plan.panels_per_task =
        CeilDiv(std::max<int64_t>(1, std::min(most, fair)), kPanelGroup) * kPanelGroup;
  } else {
    plan.panels_per_task = kManyTilesPanels;
    const double tile_us = panel_us * plan.panels_per_task / plan.tiles;
    const auto tiles = static_cast<int64_t>(3 * kTaskMicroseconds / tile_us);
    const int64_t most = kMaxBetween / (kPanelRows * plan.panels_per_task) / plan.tile_tokens;
    plan.tokens_per_task = std::clamp<int64_t>(tiles, kFewTiles + 1, most) * plan.tile_tokens;
  }
  plan.token_chunks = CeilDiv(job.tokens, plan.tokens_per_task);
}

Plan MakePlan(const MatMulJob& job, const MatMulKernels& kernels, int threads) {
  Plan plan = {};
  plan.job = &job;
  plan.format = FormatOf(job.weights->format(), kernels);
  const int64_t in = job.weights->in();
  plan.token_bytes = PackedTokenBytes(plan.format, in);
  plan.panels = CeilDiv(job.weights->out(), kPanelRows);
  plan.panel_bytes = StepsOf(plan.format, in) * kLineBytes;
  plan.tiles = CeilDiv(job.tokens, kernels.max_tile_tokens);
  plan.tile_tokens = CeilDiv(job.tokens, plan.tiles);
  plan.tiles = CeilDiv(job.tokens, plan.tile_tokens);
  const bool as_it_is =
      plan.format == PanelFormat::kF32 || (plan.format == PanelFormat::kBf16 && in % 2 == 0);
  plan.packed = job.tokens > 1 || !as_it_is;
  CutIntoTasks(plan, threads);
  return plan;
}

int64_t Tasks(const Plan& plan) {
  return CeilDiv(plan.panels, plan.panels_per_task) * plan.token_chunks;
}

void PackTile(const Plan& plan, const MatMulKernels& kernels, int64_t tile) {
  const MatMulJob& job = *plan.job;
  const int64_t token = tile * plan.tile_tokens;
  const int64_t count = std::min(plan.tile_tokens, job.tokens - token);
  kernels.pack_tile(plan.format, job.rows + token, static_cast<int>(count), job.weights->in(),
                    const_cast<uint8_t*>(plan.x) + token * plan.token_bytes);
}

void RunTask(const Plan& plan, const MatMulKernels& kernels, int64_t task) {
  const MatMulJob& job = *plan.job;
  const int64_t panel = task / plan.token_chunks * plan.panels_per_task;
  const int64_t token = task % plan.token_chunks * plan.tokens_per_task;
  MatMulBlock block = {};
  block.format = plan.format;
  block.weights = static_cast<const uint8_t*>(job.weights->data()) + panel * plan.panel_bytes;
  block.panel_bytes = plan.panel_bytes;
  block.in = job.weights->in();
  block.out_cols =
      std::min(plan.panels_per_task * kPanelRows, job.weights->out() - panel * kPanelRows);
  block.x = plan.x + token * plan.token_bytes;
  block.tokens = std::min(plan.tokens_per_task, job.tokens - token);
  block.tile_tokens = static_cast<int>(plan.tile_tokens);
  block.out = job.out + token * job.out_stride + panel * kPanelRows;
  block.out_stride = job.out_stride;
  kernels.run(block);
}

// The plan that holds number `i` of what the member `first` counts up.
const Plan& PlanOf(absl::Span<const Plan> plans, int64_t Plan::*first, int64_t i) {
  const auto after = std::upper_bound(plans.begin(), plans.end(), i,
                                      [first](int64_t n, const Plan& p) { return n < p.*first; });
  return *(after - 1);
}

}  // namespace

void RunMatMuls(CpuBackend& backend, const MatMulKernels& kernels,
                absl::Span<const MatMulJob> jobs) {
  Plan* const first =
      backend.scratch().Get<Plan>(Scratch::kMatMulPlans, static_cast<int64_t>(jobs.size()));
  int64_t count = 0, tasks = 0, tiles = 0, tile_bytes = 0;
  double microseconds = 0;
  for (const MatMulJob& job : jobs) {
    if (job.tokens == 0) continue;
    Plan& plan = first[count++];
    plan = MakePlan(job, kernels, backend.pool().threads());
    plan.first_task = tasks;
    tasks += Tasks(plan);
    plan.first_tile = tiles;
    if (plan.packed) {
      tiles += plan.tiles;
      tile_bytes += CeilDiv(job.tokens * plan.token_bytes, 64) * 64;
    }
    microseconds += plan.microseconds;
  }
  const absl::Span<Plan> plans(first, static_cast<size_t>(count));

  auto* packed = backend.scratch().Get<uint8_t>(Scratch::kMatMulTiles, tile_bytes);
  for (Plan& plan : plans) {
    plan.x = plan.packed ? packed : reinterpret_cast<const uint8_t*>(plan.job->rows[0]);
    if (plan.packed) packed += CeilDiv(plan.job->tokens * plan.token_bytes, 64) * 64;
  }
  const auto pack = [&](int64_t tile) {
    const Plan& plan = PlanOf(plans, &Plan::first_tile, tile);
    PackTile(plan, kernels, tile - plan.first_tile);
  };
  const auto run = [&](int64_t task) {
    const Plan& plan = PlanOf(plans, &Plan::first_task, task);
    RunTask(plan, kernels, task - plan.first_task);
  };
  backend.pool().ParallelForIf(tile_bytes >= kParallelPackBytes, tiles, pack);
  backend.pool().ParallelForIf(microseconds >= kInlineMicroseconds, tasks, run);
}

}  // namespace facet::cpu
