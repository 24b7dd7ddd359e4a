#include "kernels/ops/rope_2d.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/ops/rope.h"
#include "kernels/testing/backends.h"
#include "kernels/testing/matrix.h"

namespace facet::ops {
namespace {

using testing::Matrix;

class Rope2dTest : public testing::BackendTest {};

TEST_P(Rope2dTest, EachHalfOfAHeadTurnsWithItsOwnCoordinate) {
  for (const int head_dim : {4, 16, 64, 72}) {
    const int half = head_dim / 2, quarter = head_dim / 4, heads = 3, rows = 7;
    const std::vector<int32_t> xs = {0, 1, 2, 3, 50, 209, 3359}, ys = {5, 0, 1, 7, 3, 0, 2};
    const std::vector<float> frequencies = RopeFrequencies(half, 100, 1, 1);
    Matrix cos_sin_x(rows, half), cos_sin_y(rows, half);
    RopeAngles(*backend_, xs, frequencies, cos_sin_x.view());
    RopeAngles(*backend_, ys, frequencies, cos_sin_y.view());
    const Matrix in = Matrix::Random(rows, heads * head_dim, 1);
    Matrix x = in;
    Rope2d(*backend_, x.view(), head_dim, cos_sin_x.view(), cos_sin_y.view());
    for (int t = 0; t < rows; ++t) {
      for (int c = 0; c < heads * head_dim; ++c) {
        const int part = c % half, pair = part % quarter, base = c - part;
        const double position = c % head_dim < half ? xs[t] : ys[t];
        const double angle = position * std::pow(100.0, -2.0 * pair / half);
        const double a = in.at(t, base + pair), b = in.at(t, base + quarter + pair);
        const double want = part < quarter ? a * std::cos(angle) - b * std::sin(angle)
                                           : b * std::cos(angle) + a * std::sin(angle);
        // The angle is a float32: off by up to 2^-23 of itself.
        ASSERT_NEAR(x.at(t, c), want, (1e-6 + position * 2.4e-7) * (std::abs(a) + std::abs(b)))
            << "head_dim " << head_dim << ", row " << t << ", column " << c;
      }
    }
  }
}

FACET_INSTANTIATE_FOR_ALL_BACKENDS(Rope2dTest);

}  // namespace
}  // namespace facet::ops
