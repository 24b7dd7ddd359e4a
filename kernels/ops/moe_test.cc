#include "kernels/ops/moe.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/testing/backends.h"
#include "kernels/testing/matrix.h"
#include "kernels/testing/weights.h"

namespace facet::ops {
namespace {

using testing::kFloatEpsilon;
using testing::Matrix;
using testing::PackOrDie;
using testing::StoredWeights;

constexpr float kInf = std::numeric_limits<float>::infinity();

class RouteTopKTest : public testing::BackendTest {};

TEST_P(RouteTopKTest, TakesTheLargestAndRenormalises) {
  for (auto [experts, top_k] : {std::pair{1, 1}, {4, 4}, {16, 2}, {128, 8}, {9, 5}}) {
    Matrix logits = Matrix::Random(60, experts, 1, 2.0f);
    const Matrix scale = Matrix::Random(1, experts, 2);
    MoeRouting routing;
    RouteTopK(*backend_, logits.view(), top_k, scale.row(0), routing);
    ASSERT_EQ(routing.top_k, top_k);
    for (int t = 0; t < 60; ++t) {
      std::vector<double> p;
      for (int e = 0; e < experts; ++e) p.push_back(std::exp(double{logits.at(t, e)}));
      const double all = std::accumulate(p.begin(), p.end(), 0.0);
      for (double& x : p) x /= all;
      std::vector<int> order(experts);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return p[a] > p[b]; });
      double chosen = 0;
      for (int j = 0; j < top_k; ++j) chosen += p[order[j]];
      for (int j = 0; j < top_k; ++j) {
        ASSERT_EQ(routing.experts[t * top_k + j], order[j]) << "token " << t << ", choice " << j;
        const double want = p[order[j]] / chosen * scale.at(0, order[j]);
        ASSERT_LE(std::abs(routing.weights[t * top_k + j] - want),
                  16 * kFloatEpsilon * std::abs(want));
      }
    }
  }
}

struct OddLogits {
  std::string name;
  std::vector<float> logits;
  std::vector<int32_t> experts;  // of the best three
};

TEST_P(RouteTopKTest, HasATotalOrderForAnyLogits) {
  const std::vector<float> scale(5, 1.0f);
  for (const OddLogits& c : std::vector<OddLogits>{
           {"all_equal", {1, 1, 1, 1, 1}, {0, 1, 2}},
           {"ties_below_the_best", {1, 3, 1, 3, 1}, {1, 3, 0}},
           {"nan_goes_last", {NAN, 1, NAN, 2, 0}, {3, 1, 4}},
           {"all_nan", {NAN, NAN, NAN, NAN, NAN}, {0, 1, 2}},
           {"infinities", {-kInf, kInf, 0, -kInf, kInf}, {1, 4, 2}},
           {"all_minus_infinity", {-kInf, -kInf, -kInf, -kInf, -kInf}, {0, 1, 2}}}) {
    Matrix logits(1, 5);
    for (int e = 0; e < 5; ++e) logits.at(0, e) = c.logits[e];
    MoeRouting routing;
    RouteTopK(*backend_, logits.view(), 3, scale.data(), routing);
    EXPECT_EQ(routing.experts, c.experts) << c.name;
  }
}

TEST_P(RouteTopKTest, ReusesTheRoutingOfALargerStep) {
  Matrix logits = Matrix::Random(9, 6, 3);
  const std::vector<float> scale(6, 1.0f);
  MoeRouting routing;
  RouteTopK(*backend_, logits.view(), 3, scale.data(), routing);
  RouteTopK(*backend_, logits.view().Rows(0, 2), 2, scale.data(), routing);
  EXPECT_EQ(routing.experts.size(), 4u);
  EXPECT_EQ(routing.weights.size(), 4u);
}

FACET_INSTANTIATE_FOR_ALL_BACKENDS(RouteTopKTest);

class MoeExpertsTest : public testing::BackendTest {
 protected:
  static constexpr int kExperts = 12, kHidden = 70, kWidth = 37, kTopK = 3;

  void SetUp() override {
    BackendTest::SetUp();
    if (backend_ == nullptr) return;
    for (int e = 0; e < kExperts; ++e) {
      const auto seed = static_cast<uint32_t>(10 + 2 * e);
      stored_gate_up_.emplace_back(DType::kBF16, 2 * kWidth, kHidden, seed, 0.1f);
      stored_down_.emplace_back(DType::kBF16, kHidden, kWidth, seed + 1, 0.1f);
    }
    for (int e = 0; e < kExperts; ++e) {
      gate_up_.push_back(PackOrDie(*backend_, {stored_gate_up_[e].block()}, WeightFormat::kBF16));
      down_.push_back(PackOrDie(*backend_, {stored_down_[e].block()}, WeightFormat::kBF16));
    }
  }

  MoeRouting Route(int tokens) {
    Matrix logits = Matrix::Random(tokens, kExperts, 5);
    const std::vector<float> scale(kExperts, 1.3f);
    MoeRouting routing;
    RouteTopK(*backend_, logits.view(), kTopK, scale.data(), routing);
    return routing;
  }

  static MoeRouting RowsOf(const MoeRouting& routing, int first, int tokens) {
    const int begin = first * kTopK, end = (first + tokens) * kTopK;
    return {kTopK,
            {routing.experts.begin() + begin, routing.experts.begin() + end},
            {routing.weights.begin() + begin, routing.weights.begin() + end}};
  }

  // The formula in double for one token, over the experts [first, last).
  std::vector<double> Want(const Matrix& x, const MoeRouting& routing, int t, int first, int last) {
    std::vector<double> out(kHidden, 0.0);
    for (int j = 0; j < kTopK; ++j) {
      const int e = routing.experts[t * kTopK + j];
      if (e < first || e >= last) continue;
      std::vector<double> hidden(kWidth);
      for (int m = 0; m < kWidth; ++m) {
        double gate = 0, up = 0;
        for (int h = 0; h < kHidden; ++h) {
          gate += x.at(t, h) * stored_gate_up_[e].at(m, h);
          up += x.at(t, h) * stored_gate_up_[e].at(kWidth + m, h);
        }
        const double cube = gate + 0.044715 * gate * gate * gate;
        hidden[m] = 0.5 * gate * (1 + std::tanh(std::sqrt(2 / M_PI) * cube)) * up;
      }
      for (int h = 0; h < kHidden; ++h) {
        for (int m = 0; m < kWidth; ++m) {
          out[h] += routing.weights[t * kTopK + j] * hidden[m] * stored_down_[e].at(h, m);
        }
      }
    }
    return out;
  }

  std::vector<StoredWeights> stored_gate_up_, stored_down_;
  std::vector<WeightMatrix> gate_up_, down_;
};

TEST_P(MoeExpertsTest, AgreesWithTheFormulaInDouble) {
  for (int tokens : {1, 2, 7, 50}) {
    Matrix x = Matrix::Random(tokens, kHidden, 6), out(tokens, kHidden);
    const MoeRouting routing = Route(tokens);
    MoeExperts(*backend_, x.view(), routing, 0, gate_up_, down_, out.view());
    ASSERT_TRUE(out.PaddingIsUntouched());
    for (int t = 0; t < tokens; ++t) {
      const std::vector<double> want = Want(x, routing, t, 0, kExperts);
      // Values of order 0.1 from three chained sums of at most 70 terms of order 1.
      for (int h = 0; h < kHidden; ++h) ASSERT_LE(std::abs(out.at(t, h) - want[h]), 3e-6) << t;
    }
  }
}

TEST_P(MoeExpertsTest, GivesATokenTheSameResultInEveryBatch) {
  constexpr int kTokens = 40;
  Matrix x = Matrix::Random(kTokens, kHidden, 7), alone(kTokens, kHidden);
  const MoeRouting routing = Route(kTokens);
  for (int t = 0; t < kTokens; ++t) {
    MoeExperts(*backend_, x.view().Rows(t, 1), RowsOf(routing, t, 1), 0, gate_up_, down_,
               alone.view().Rows(t, 1));
  }
  for (int tokens : {2, 9, 40}) {
    Matrix out(tokens, kHidden);
    MoeExperts(*backend_, x.view().Rows(0, tokens), RowsOf(routing, 0, tokens), 0, gate_up_, down_,
               out.view());
    for (int t = 0; t < tokens; ++t) ExpectRowsEqual(out, t, alone, t);
  }
}

TEST_P(MoeExpertsTest, AddsOnlyTheExpertsHeldHere) {
  constexpr int kTokens = 20;
  Matrix x = Matrix::Random(kTokens, kHidden, 8), out(kTokens, kHidden);
  const MoeRouting routing = Route(kTokens);
  MoeExperts(*backend_, x.view(), routing, 4, absl::MakeSpan(gate_up_).subspan(4, 5),
             absl::MakeSpan(down_).subspan(4, 5), out.view());
  for (int t = 0; t < kTokens; ++t) {
    const std::vector<double> want = Want(x, routing, t, 4, 9);
    for (int h = 0; h < kHidden; ++h) ASSERT_LE(std::abs(out.at(t, h) - want[h]), 3e-6) << t;
  }
}

TEST_P(MoeExpertsTest, WritesZerosWhereNoExpertIsHeldHere) {
  Matrix x = Matrix::Random(3, kHidden, 9), out(3, kHidden);
  const MoeRouting routing = Route(3);
  MoeExperts(*backend_, x.view(), routing, 100, gate_up_, down_, out.view());
  for (int t = 0; t < 3; ++t) {
    for (int h = 0; h < kHidden; ++h) ASSERT_EQ(out.at(t, h), 0.0f);
  }
  MoeExperts(*backend_, x.view(), routing, 0, {}, {}, out.view());
  EXPECT_EQ(out.at(2, 5), 0.0f);
}

TEST_P(MoeExpertsTest, DoesNothingForNoTokens) {
  MoeExperts(*backend_, {nullptr, DType::kF32, 0, kHidden, kHidden}, {kTopK, {}, {}}, 0, gate_up_,
             down_, {nullptr, DType::kF32, 0, kHidden, kHidden});
}

FACET_INSTANTIATE_FOR_ALL_BACKENDS(MoeExpertsTest);

}  // namespace
}  // namespace facet::ops
