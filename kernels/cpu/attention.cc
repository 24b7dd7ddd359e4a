#include "kernels/cpu/attention.h"

#include <algorithm>

#include "kernels/cpu/scratch.h"
#include "kernels/cpu/thread_pool.h"

namespace facet::cpu {
namespace {

constexpr int64_t kBlockColumns = 96;  // multiples of the MatMul tiles of all levels
constexpr int64_t kPartialBytes = int64_t{16} << 20;
constexpr double kInlineFlop = 1.5e6;

// Consecutive rows of one sequence with the query heads of one KV head.
struct Block {
  const AttentionSequence* sequence;
  int kv_head;
  int64_t first_row;  // within the sequence
  int64_t rows;
  int64_t first_tile;
  int64_t tiles;
  int64_t first_item;  // among the (block, tile) pairs of all blocks
};

// The call, with what follows from it.
struct Call {
  const AttentionKernels& kernels;
  const Tensor& q;
  const KvPages& pages;
  int window;
  const Tensor& out;
  int group;  // query heads per KV head
  int query_heads;
  float* max;  // [rows, query_heads]; the third part of the state is `out` itself
  float* sum;
};

Element ElementOf(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return Element::kF32;
    case DType::kBF16:
      return Element::kBf16;
    case DType::kF16:
      return Element::kF16;
    case DType::kInt8:
      return Element::kInt8;
    case DType::kF8E4M3:
      break;
  }
  return Element::kF8;
}

int64_t FirstVisible(int64_t position, int window) {
  return window > 0 ? std::max<int64_t>(0, position - window + 1) : 0;
}

int64_t RowsPerBlock(int group) { return std::max<int64_t>(1, kBlockColumns / group); }

// Writes the blocks to `blocks`, or only counts them if that is null.
int64_t CutIntoBlocks(absl::Span<const AttentionSequence> sequences, int kv_heads, int group,
                      int window, Block* blocks) {
  const int64_t rows_per_block = RowsPerBlock(group);
  int64_t count = 0, items = 0;
  for (const AttentionSequence& sequence : sequences) {
    for (int head = 0; head < kv_heads; ++head) {
      for (int64_t row = 0; row < sequence.num_rows; row += rows_per_block, ++count) {
        if (blocks == nullptr) continue;
        Block& block = blocks[count];
        block = {&sequence, head, row,  std::min(rows_per_block, sequence.num_rows - row),
                 0,         0,    items};
        const int64_t position = sequence.start_position + row;
        block.first_tile = FirstVisible(position, window) / kTileKeys;
        const int64_t end = sequence.VisibleEnd(row + block.rows - 1);
        block.tiles = (end - 1) / kTileKeys - block.first_tile + 1;
        items += block.tiles;
      }
    }
  }
  return count;
}

const Block& BlockOf(absl::Span<const Block> blocks, int64_t item) {
  return *(std::upper_bound(blocks.begin(), blocks.end(), item,
                            [](int64_t i, const Block& b) { return i < b.first_item; }) -
           1);
}

// The partial results of one (block, tile).
struct Partial {
  float* max;
  float* sum;
  float* out;

  static int64_t Floats(int64_t columns, int head_dim) { return columns * (head_dim + 2); }
  Partial(float* base, int64_t columns) : max(base), sum(base + columns), out(sum + columns) {}
};

// Fills rows[key] for the tile's keys in [begin, end) (absolute positions), null elsewhere.
void FindRows(const void* data, const Call& call, const Block& block, int64_t tile_start,
              int64_t begin, int64_t end, const uint8_t** rows) {
  const KvPages& pages = call.pages;
  const int64_t row_bytes = pages.row_bytes();
  std::fill(rows, rows + kTileKeys, nullptr);
  for (int64_t key = begin; key < end;) {
    const int64_t slot = key / pages.page_tokens, token = key % pages.page_tokens;
    const int64_t page = block.sequence->pages[static_cast<size_t>(slot)];
    FACET_CHECK(page >= 0 && page < pages.num_pages)
        << "position " << key << " has page " << page << " of " << pages.num_pages;
    const auto* row =
        static_cast<const uint8_t*>(data) +
        ((page * pages.kv_heads + block.kv_head) * pages.page_tokens + token) * row_bytes;
    const int64_t stop = std::min(end, key - token + pages.page_tokens);
    for (; key < stop; ++key, row += row_bytes) rows[key - tile_start] = row;
  }
}

void AttendItem(const Call& call, const Block& block, int64_t tile_index, uint8_t* scratch,
                const Partial& partial) {
  const int64_t start = (block.first_tile + tile_index) * kTileKeys;
  const int64_t position = block.sequence->start_position + block.first_row;
  const float* queries[kMaxColumns];
  int16_t begin[kMaxColumns], end[kMaxColumns];
  int columns = 0;
  for (int64_t r = 0; r < block.rows; ++r) {
    const int64_t first = FirstVisible(position + r, call.window) - start;
    const int64_t last = block.sequence->VisibleEnd(block.first_row + r) - start;
    const float* row = call.q.f32(block.sequence->first_row + block.first_row + r);
    for (int h = 0; h < call.group; ++h, ++columns) {
      queries[columns] =
          row + (static_cast<int64_t>(block.kv_head) * call.group + h) * call.pages.head_dim;
      begin[columns] = static_cast<int16_t>(std::clamp<int64_t>(first, 0, kTileKeys));
      end[columns] = static_cast<int16_t>(std::clamp<int64_t>(last, 0, kTileKeys));
    }
  }
  const uint8_t *k_rows[kTileKeys], *v_rows[kTileKeys];
  const int64_t first_key = std::max(start, FirstVisible(position, call.window));
  const int64_t end_key =
      std::min(start + kTileKeys, block.sequence->VisibleEnd(block.first_row + block.rows - 1));
  FindRows(call.pages.k, call, block, start, first_key, end_key, k_rows);
  FindRows(call.pages.v, call, block, start, first_key, end_key, v_rows);
  call.kernels.attend({ElementOf(call.pages.dtype), call.pages.head_dim, k_rows, v_rows, columns,
                       queries, begin, end, partial.max, partial.sum, partial.out, scratch});
}

// Takes a tile's partial results into the rows' state; after the last tile, finishes the rows.
void MergeItem(const Call& call, const Block& block, int64_t tile_index, const Partial& partial) {
  const int head_dim = call.pages.head_dim;
  int64_t column = 0;
  for (int64_t r = 0; r < block.rows; ++r) {
    const int64_t row = block.sequence->first_row + block.first_row + r;
    for (int h = 0; h < call.group; ++h, ++column) {
      const int64_t head = static_cast<int64_t>(block.kv_head) * call.group + h;
      float* sum = call.sum + row * call.query_heads + head;
      float* out = call.out.f32(row) + head * head_dim;
      if (tile_index == 0) *sum = 0;
      call.kernels.merge(partial.max[column], partial.sum[column], partial.out + column * head_dim,
                         head_dim, {call.max + row * call.query_heads + head, sum, out});
      if (tile_index + 1 < block.tiles) continue;
      const float total = *sum;
      for (int d = 0; d < head_dim; ++d) out[d] /= total;
    }
  }
}

}  // namespace

void RunPagedAttention(CpuBackend& backend, const AttentionKernels& kernels, const Tensor& q,
                       const KvPages& pages, absl::Span<const AttentionSequence> sequences,
                       int window, const Tensor& out) {
  const int head_dim = pages.head_dim;
  const int query_heads = static_cast<int>(q.cols / head_dim);
  const int group = query_heads / pages.kv_heads;
  FACET_CHECK(group <= kMaxColumns) << group << " query heads per KV head";
  Scratch& scratch = backend.scratch();
  ThreadPool& pool = backend.pool();

  const int64_t count = CutIntoBlocks(sequences, pages.kv_heads, group, window, nullptr);
  if (count == 0) return;
  Block* const first = scratch.Get<Block>(Scratch::kAttentionBlocks, count);
  CutIntoBlocks(sequences, pages.kv_heads, group, window, first);
  const absl::Span<const Block> blocks(first, static_cast<size_t>(count));
  const int64_t items = blocks.back().first_item + blocks.back().tiles;

  float* state = scratch.Get<float>(Scratch::kAttentionState, 2 * q.rows * query_heads);
  const Call call = {
      kernels, q, pages, window, out, group, query_heads, state, state + q.rows * query_heads};

  // In waves of items, so that the partial results of a long context do not pile up.
  const int64_t columns = RowsPerBlock(group) * group;
  const int64_t partial_floats = (Partial::Floats(columns, head_dim) + 15) / 16 * 16;
  const int64_t wave =
      std::clamp<int64_t>(kPartialBytes / (partial_floats * 4), int64_t{4} * pool.threads(), items);
  float* partials = scratch.Get<float>(Scratch::kAttentionPartials, wave * partial_floats);
  const int64_t scratch_bytes = AttentionScratchBytes(head_dim);
  auto* thread_scratch =
      scratch.Get<uint8_t>(Scratch::kAttentionThreads, pool.threads() * scratch_bytes);

  for (int64_t begin = 0; begin < items; begin += wave) {
    const int64_t end = std::min(items, begin + wave);
    const Block* const first_block = &BlockOf(blocks, begin);
    const Block* const last_block = &BlockOf(blocks, end - 1);
    const auto partial_of = [&](int64_t item, const Block& block) {
      return Partial(partials + (item - begin) * partial_floats, block.rows * group);
    };
    const double flop = 4.0 * kTileKeys * head_dim * group * first_block->rows * (end - begin);
    const bool parallel = flop >= kInlineFlop;
    pool.ParallelForIf(parallel, end - begin, [&](int64_t i) {
      const Block& block = BlockOf(blocks, begin + i);
      AttendItem(call, block, begin + i - block.first_item,
                 thread_scratch + ThreadPool::CurrentThread() * scratch_bytes,
                 partial_of(begin + i, block));
    });
    pool.ParallelForIf(parallel, last_block - first_block + 1, [&](int64_t i) {
      const Block& block = first_block[i];
      const int64_t last = std::min(end, block.first_item + block.tiles);
      for (int64_t item = std::max(begin, block.first_item); item < last; ++item) {
        MergeItem(call, block, item - block.first_item, partial_of(item, block));
      }
    });
  }
}

}  // namespace facet::cpu
