#include "kernels/ops/attention.h"

#include <cstring>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/parallel_rows.h"
#include "kernels/ops/check.h"

namespace facet::ops {
namespace {

void CheckPages(const KvPages& pages) {
  FACET_CHECK(IsKvType(pages.dtype)) << "pages of " << Name(pages.dtype);
  FACET_CHECK(pages.kv_heads >= 1 && pages.page_tokens >= 1 && pages.head_dim >= 1)
      << pages.kv_heads << " heads, " << pages.page_tokens << " tokens, " << pages.head_dim;
}

void CheckSequence(const AttentionSequence& s, const KvPages& pages, int64_t rows) {
  FACET_CHECK(s.first_row >= 0 && s.num_rows >= 0 && s.first_row + s.num_rows <= rows)
      << "rows " << s.first_row << "+" << s.num_rows << " of " << rows;
  const int64_t capacity = static_cast<int64_t>(s.pages.size()) * pages.page_tokens;
  FACET_CHECK(s.num_rows == 0 ||
              (s.start_position >= 0 && s.start_position + s.num_rows <= capacity))
      << "positions " << s.start_position << "+" << s.num_rows << " in pages for " << capacity;
  if (s.visible_end.empty()) return;
  FACET_CHECK(static_cast<int64_t>(s.visible_end.size()) == s.num_rows)
      << s.visible_end.size() << " ends for " << s.num_rows << " rows";
  for (int64_t r = 0; r < s.num_rows; ++r) {
    FACET_CHECK(s.VisibleEnd(r) > s.start_position + r && s.VisibleEnd(r) <= capacity &&
                (r == 0 || s.VisibleEnd(r) >= s.VisibleEnd(r - 1)))
        << "row " << r << " sees keys below " << s.VisibleEnd(r);
  }
}

// One head's part of a row into a page.
void StoreHead(const cpu::RowKernels& kernels, const float* x, void* data, const KvPages& pages,
               int64_t row) {
  uint8_t* out = static_cast<uint8_t*>(data) + row * pages.row_bytes();
  if (pages.dtype == DType::kF32) {
    std::memcpy(out, x, sizeof(float) * pages.head_dim);
  } else if (pages.dtype == DType::kBF16) {
    kernels.narrow(x, pages.head_dim, reinterpret_cast<uint16_t*>(out));
  } else {
    kernels.quantise(x, pages.dtype == DType::kInt8 ? cpu::Element::kInt8 : cpu::Element::kF8,
                     pages.head_dim, out);
  }
}

}  // namespace

void StoreKv(Backend& backend, const Tensor& k, const Tensor& v,
             absl::Span<const AttentionSequence> sequences, const KvPages& pages) {
  CheckPages(pages);
  const int64_t width = int64_t{pages.kv_heads} * pages.head_dim;
  CheckShape(k, k.rows, width, "StoreKv k");
  CheckShape(v, k.rows, width, "StoreKv v");
  CpuBackend& cpu = AsCpu(backend);
  const cpu::RowKernels& kernels = *KernelsOf(cpu).rows;
  for (const AttentionSequence& s : sequences) {
    CheckSequence(s, pages, k.rows);
    cpu::ParallelRows(cpu.pool(), s.num_rows, 2 * width, [&](int64_t r) {
      const int64_t position = s.start_position + r;
      const int64_t page = s.pages[static_cast<size_t>(position / pages.page_tokens)];
      FACET_CHECK(page >= 0 && page < pages.num_pages)
          << "position " << position << " has page " << page << " of " << pages.num_pages;
      for (int h = 0; h < pages.kv_heads; ++h) {
        const int64_t to =
            (page * pages.kv_heads + h) * pages.page_tokens + position % pages.page_tokens;
        const int64_t column = int64_t{h} * pages.head_dim;
        StoreHead(kernels, k.f32(s.first_row + r) + column, pages.k, pages, to);
        StoreHead(kernels, v.f32(s.first_row + r) + column, pages.v, pages, to);
      }
    });
  }
}

void CopyKvPage(Backend& backend, absl::Span<const KvPages> layers, int from, int to) {
  for (const KvPages& pages : layers) {
    CheckPages(pages);
    FACET_CHECK(from >= 0 && from < pages.num_pages && to >= 0 && to < pages.num_pages)
        << "page " << from << " to page " << to << " of " << pages.num_pages;
  }
  if (from == to) return;
  ThreadPool& pool = AsCpu(backend).pool();
  const auto parts = 2 * static_cast<int64_t>(layers.size());
  pool.ParallelForIf(parts > 2, parts, [&](int64_t i) {
    const KvPages& pages = layers[static_cast<size_t>(i / 2)];
    auto* data = static_cast<uint8_t*>(i % 2 == 0 ? pages.k : pages.v);
    const int64_t bytes = pages.page_bytes();
    std::memcpy(data + to * bytes, data + from * bytes, static_cast<size_t>(bytes));
  });
}

void PagedAttention(Backend& backend, const Tensor& q, const KvPages& pages,
                    absl::Span<const AttentionSequence> sequences, int window, const Tensor& out) {
  CheckPages(pages);
  CheckShape(q, q.rows, q.cols, "PagedAttention q");
  CheckShape(out, q.rows, q.cols, "PagedAttention out");
  FACET_CHECK(q.cols % (int64_t{pages.kv_heads} * pages.head_dim) == 0)
      << q.cols << " columns, " << pages.kv_heads << " KV heads of " << pages.head_dim;
  FACET_CHECK(window >= 0) << "window " << window;
  for (const AttentionSequence& s : sequences) CheckSequence(s, pages, q.rows);
  CpuBackend& cpu = AsCpu(backend);
  cpu::RunPagedAttention(cpu, *KernelsOf(cpu).attention, q, pages, sequences, window, out);
}

}  // namespace facet::ops
