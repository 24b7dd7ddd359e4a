#include "kernels/ops/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/thread_pool.h"
#include "kernels/ops/check.h"

namespace facet::ops {
namespace {

int64_t ElementOffset(const KvPages& pages, const AttentionSequence& sequence, int64_t position,
                      int head) {
  const int64_t page = sequence.pages[position / pages.page_tokens];
  FACET_CHECK(page >= 0 && page < pages.num_pages)
      << "position " << position << " has page " << page << " of " << pages.num_pages;
  return ((page * pages.kv_heads + head) * pages.page_tokens + position % pages.page_tokens) *
         pages.head_dim;
}

float LoadAt(const void* data, DType dtype, int64_t i) {
  return dtype == DType::kF32 ? static_cast<const float*>(data)[i]
                              : Bf16ToFloat(static_cast<const uint16_t*>(data)[i]);
}

void StoreRow(const float* x, void* data, DType dtype, int64_t offset, int n) {
  for (int i = 0; i < n; ++i) {
    if (dtype == DType::kF32) {
      static_cast<float*>(data)[offset + i] = x[i];
    } else {
      static_cast<uint16_t*>(data)[offset + i] = FloatToBf16(x[i]);
    }
  }
}

void CheckPages(const KvPages& pages) {
  FACET_CHECK(pages.dtype == DType::kF32 || pages.dtype == DType::kBF16) << Name(pages.dtype);
  FACET_CHECK(pages.kv_heads >= 1 && pages.page_tokens >= 1 && pages.head_dim >= 1);
}

void CheckSequence(const AttentionSequence& s, const KvPages& pages, int64_t rows) {
  FACET_CHECK(s.first_row >= 0 && s.num_rows >= 0 && s.first_row + s.num_rows <= rows)
      << s.first_row << "+" << s.num_rows << " of " << rows;
  FACET_CHECK(s.start_position >= 0 &&
              (s.num_rows == 0 || s.start_position + s.num_rows <=
                                      static_cast<int64_t>(s.pages.size()) * pages.page_tokens))
      << "positions " << s.start_position << "+" << s.num_rows << " in " << s.pages.size()
      << " pages";
}

}  // namespace

void StoreKv(Backend& backend, const Tensor& k, const Tensor& v,
             absl::Span<const AttentionSequence> sequences, const KvPages& pages) {
  AsCpu(backend);
  CheckPages(pages);
  const int64_t width = int64_t{pages.kv_heads} * pages.head_dim;
  CheckShape(k, k.rows, width, "StoreKv k");
  CheckShape(v, k.rows, width, "StoreKv v");
  for (const AttentionSequence& s : sequences) {
    CheckSequence(s, pages, k.rows);
    for (int64_t r = 0; r < s.num_rows; ++r) {
      for (int h = 0; h < pages.kv_heads; ++h) {
        const int64_t offset = ElementOffset(pages, s, s.start_position + r, h);
        const int64_t column = int64_t{h} * pages.head_dim;
        StoreRow(k.f32(s.first_row + r) + column, pages.k, pages.dtype, offset, pages.head_dim);
        StoreRow(v.f32(s.first_row + r) + column, pages.v, pages.dtype, offset, pages.head_dim);
      }
    }
  }
}

void PagedAttention(Backend& backend, const Tensor& q, const KvPages& pages,
                    absl::Span<const AttentionSequence> sequences, int window, const Tensor& out) {
  CpuBackend& cpu = AsCpu(backend);
  CheckPages(pages);
  CheckShape(out, q.rows, q.cols, "PagedAttention out");
  const int dim = pages.head_dim;
  const int heads = static_cast<int>(q.cols / dim);
  FACET_CHECK(q.cols % dim == 0 && heads % pages.kv_heads == 0) << q.cols << " / " << dim;
  for (const AttentionSequence& s : sequences) {
    CheckSequence(s, pages, q.rows);
    cpu.pool().ParallelFor(s.num_rows * heads, [&](int64_t task) {
      const int64_t r = task / heads;
      const int h = static_cast<int>(task % heads);
      const int kv_head = h / (heads / pages.kv_heads);
      const int64_t position = s.start_position + r;
      const int64_t begin = window > 0 ? std::max<int64_t>(0, position - window + 1) : 0;
      const float* query = q.f32(s.first_row + r) + int64_t{h} * dim;
      std::vector<double> p(position + 1 - begin);
      double max = -INFINITY;
      for (int64_t key = begin; key <= position; ++key) {
        const int64_t offset = ElementOffset(pages, s, key, kv_head);
        double dot = 0;
        for (int d = 0; d < dim; ++d) {
          dot += double{query[d]} * LoadAt(pages.k, pages.dtype, offset + d);
        }
        p[key - begin] = dot;
        max = std::max(max, dot);
      }
      double sum = 0;
      for (double& x : p) sum += x = std::exp(x - max);
      std::vector<double> o(dim, 0.0);
      for (int64_t key = begin; key <= position; ++key) {
        const int64_t offset = ElementOffset(pages, s, key, kv_head);
        for (int d = 0; d < dim; ++d) {
          o[d] += p[key - begin] * LoadAt(pages.v, pages.dtype, offset + d);
        }
      }
      float* result = out.f32(s.first_row + r) + int64_t{h} * dim;
      for (int d = 0; d < dim; ++d) result[d] = static_cast<float>(o[d] / sum);
    });
  }
}

}  // namespace facet::ops
