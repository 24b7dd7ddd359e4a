#include "kernels/cpu/moe.h"

#include <algorithm>

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/parallel_rows.h"
#include "kernels/cpu/scratch.h"

namespace facet::cpu {
namespace {

// The (token, choice) pairs that this rank computes, grouped by expert. A pair's place in that
// order is its slot: the row of its intermediate results.
struct Slots {
  int32_t* first;  // [local experts + 1] first slot of each
  int32_t* slot;   // [tokens * top_k] slot of a pair, -1 for another rank's expert
  int32_t* token;  // [slots]
};

void GroupByExpert(const int32_t* experts, int64_t pairs, int top_k, int first_expert,
                   int64_t local_experts, const Slots& slots) {
  const auto local = [&](int64_t pair) {
    const int64_t e = int64_t{experts[pair]} - first_expert;
    return e >= 0 && e < local_experts ? e : -1;
  };
  std::fill(slots.first, slots.first + local_experts + 1, 0);
  for (int64_t pair = 0; pair < pairs; ++pair) {
    if (local(pair) >= 0) ++slots.first[local(pair) + 1];
  }
  for (int64_t e = 0; e < local_experts; ++e) slots.first[e + 1] += slots.first[e];
  for (int64_t pair = 0; pair < pairs; ++pair) {
    const int64_t e = local(pair);
    slots.slot[pair] = e < 0 ? -1 : slots.first[e]++;
    if (e >= 0) slots.token[slots.slot[pair]] = static_cast<int32_t>(pair / top_k);
  }
  // Each first[e] now is the next one's start.
  for (int64_t e = local_experts; e > 0; --e) slots.first[e] = slots.first[e - 1];
  slots.first[0] = 0;
}

// out[slot] = matrices[e] * rows[slot], for the slots of every expert.
void Multiply(CpuBackend& backend, const Kernels& kernels, const Slots& slots,
              absl::Span<const WeightMatrix> matrices, const float* const* rows, float* out,
              MatMulJob* jobs) {
  size_t count = 0;
  for (size_t e = 0; e < matrices.size(); ++e) {
    const int64_t begin = slots.first[e], tokens = slots.first[e + 1] - begin;
    if (tokens == 0) continue;
    const int64_t width = matrices[e].out();
    jobs[count++] = {&matrices[e], rows + begin, tokens, out + begin * width, width};
  }
  RunMatMuls(backend, *kernels.matmul, {jobs, count});
}

}  // namespace

void RunMoeExperts(CpuBackend& backend, const Kernels& kernels, const Tensor& x,
                   const int32_t* experts, const float* weights, int top_k, int first_expert,
                   absl::Span<const WeightMatrix> gate_up, absl::Span<const WeightMatrix> down,
                   const Tensor& out) {
  Scratch& scratch = backend.scratch();
  const auto local_experts = static_cast<int64_t>(gate_up.size());
  const int64_t pairs = x.rows * top_k;
  auto* indices = scratch.Get<int32_t>(Scratch::kMoeSlots, local_experts + 1 + 2 * pairs);
  const Slots slots = {indices, indices + local_experts + 1, indices + local_experts + 1 + pairs};
  GroupByExpert(experts, pairs, top_k, first_expert, local_experts, slots);
  const int64_t count = slots.first[local_experts];

  if (count > 0) {
    const int64_t width = down[0].in();
    auto* jobs = scratch.Get<MatMulJob>(Scratch::kMoeJobs, local_experts);
    auto* rows = scratch.Get<const float*>(Scratch::kRows, count);
    auto* hidden = scratch.Get<float>(Scratch::kMoeHidden, count * 2 * width);
    for (int64_t s = 0; s < count; ++s) rows[s] = x.f32(slots.token[s]);
    Multiply(backend, kernels, slots, gate_up, rows, hidden, jobs);

    ParallelRows(backend.pool(), count, width, [&](int64_t s) {
      float* gate = hidden + s * 2 * width;
      kernels.rows->gelu_mul(gate, gate + width, width, gate);
    });
    for (int64_t s = 0; s < count; ++s) rows[s] = hidden + s * 2 * width;
    Multiply(backend, kernels, slots, down, rows,
             scratch.Get<float>(Scratch::kMoeOutput, count * out.cols), jobs);
  }

  const float* results = scratch.Get<float>(Scratch::kMoeOutput, count * out.cols);
  ParallelRows(backend.pool(), x.rows, out.cols * top_k, [&](int64_t t) {
    float* row = out.f32(t);
    std::fill(row, row + out.cols, 0.0f);
    for (int64_t pair = t * top_k; pair < (t + 1) * top_k; ++pair) {
      if (slots.slot[pair] < 0) continue;
      kernels.rows->add_product(weights[pair], results + slots.slot[pair] * out.cols, out.cols,
                                row);
    }
  });
}

}  // namespace facet::cpu
