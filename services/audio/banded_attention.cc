#include "services/audio/banded_attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/parallel_rows.h"

namespace facet {
namespace {

constexpr double kKeyScale = 1.8946361239720115;  // ln(1 + e) / ln 2

// One head of one frame. `q` is scaled.
void AttendHead(const AudioConfig& config, const AudioAttentionWeights& weights, const float* q,
                const Tensor& k, const Tensor& v, int64_t frame, int64_t column,
                std::vector<double>& weight, float* out) {
  const int dim = config.head_dim();
  const int64_t first = std::max<int64_t>(0, frame - config.attention_keys + 1);
  const int64_t last = std::min(k.rows - 1, frame + config.keys_ahead);
  weight.clear();
  double largest = -1e300;
  for (int64_t u = first; u <= last; ++u) {
    const float* const key = k.f32(u) + column;
    const float* const distance = weights.distance_keys.data() +
                                  (frame - u + config.keys_ahead) * config.hidden_size + column;
    double score = 0;
    for (int d = 0; d < dim; ++d) score += double{q[d]} * (kKeyScale * key[d] + distance[d]);
    score = config.logit_cap * std::tanh(score / config.logit_cap);
    weight.push_back(score);
    largest = std::max(largest, score);
  }
  double sum = 0;
  for (double& w : weight) sum += w = std::exp(w - largest);
  std::fill_n(out, dim, 0.0f);
  for (int64_t u = first; u <= last; ++u) {
    const auto share = static_cast<float>(weight[u - first] / sum);
    const float* const value = v.f32(u) + column;
    for (int d = 0; d < dim; ++d) out[d] += share * value[d];
  }
}

}  // namespace

void BandedAttention(ThreadPool& pool, const AudioConfig& config,
                     const AudioAttentionWeights& weights, const Tensor& q, const Tensor& k,
                     const Tensor& v, const Tensor& out) {
  const int dim = config.head_dim();
  const int64_t work = q.cols * (config.attention_keys + config.keys_ahead);  // of a frame
  cpu::ParallelRows(pool, q.rows, work, [&](int64_t t) {
    std::vector<float> query(static_cast<size_t>(dim));
    std::vector<double> scratch;
    for (int h = 0; h < config.num_heads; ++h) {
      const int64_t column = int64_t{h} * dim;
      for (int d = 0; d < dim; ++d) query[d] = q.f32(t)[column + d] * weights.query_scale[d];
      AttendHead(config, weights, query.data(), k, v, t, column, scratch, out.f32(t) + column);
    }
  });
}

}  // namespace facet
