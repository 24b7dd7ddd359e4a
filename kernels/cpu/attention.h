#ifndef FACET_KERNELS_CPU_ATTENTION_H_
#define FACET_KERNELS_CPU_ATTENTION_H_

// Paged attention on the CPU: the division into columns and tiles (attention_kernels.h).

#include "absl/types/span.h"
#include "kernels/cpu/attention_kernels.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/kv_pages.h"
#include "kernels/tensor.h"

namespace facet::cpu {

// ops::PagedAttention, whose checks the arguments have passed.
void RunPagedAttention(CpuBackend& backend, const AttentionKernels& kernels, const Tensor& q,
                       const KvPages& pages, absl::Span<const AttentionSequence> sequences,
                       int window, const Tensor& out);

}  // namespace facet::cpu

#endif  // FACET_KERNELS_CPU_ATTENTION_H_
