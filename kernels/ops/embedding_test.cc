#include "kernels/ops/embedding.h"

#include <vector>

#include "gtest/gtest.h"
#include "kernels/testing/backends.h"
#include "kernels/testing/matrix.h"
#include "kernels/testing/weights.h"

namespace facet::ops {
namespace {

using testing::Matrix;
using testing::StoredWeights;

class EmbedRowsTest : public testing::BackendTest {};

TEST_P(EmbedRowsTest, WidensAndScalesTheRowsOfAllTypes) {
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (int cols : {1, 7, 16, 33, 1536}) {
      const StoredWeights table(dtype, 10, cols, 1);
      std::vector<int32_t> ids;
      for (int i = 0; i < 37; ++i) ids.push_back(i * 7 % 10);
      Matrix out(37, cols);
      EmbedRows(*backend_, table.block(), 0, ids, 39.25f, out.view());
      ASSERT_TRUE(out.PaddingIsUntouched());
      for (int t = 0; t < 37; ++t) {
        for (int c = 0; c < cols; ++c) {
          ASSERT_EQ(out.at(t, c), static_cast<float>(table.at(ids[t], c)) * 39.25f)
              << Name(dtype) << " " << t << ", " << c;
        }
      }
    }
  }
}

TEST_P(EmbedRowsTest, WritesZerosForIdsHeldElsewhere) {
  const StoredWeights table(DType::kBF16, 4, 20, 2);  // the ids 100..103
  const std::vector<int32_t> ids = {99, 100, 103, 104, 0, -1, 2147483647, 101};
  Matrix out(8, 20);
  EmbedRows(*backend_, table.block(), 100, ids, 1.0f, out.view());
  for (int t = 0; t < 8; ++t) {
    const bool here = ids[t] >= 100 && ids[t] < 104;
    for (int c = 0; c < 20; ++c) {
      ASSERT_EQ(out.at(t, c), here ? static_cast<float>(table.at(ids[t] - 100, c)) : 0.0f) << t;
    }
  }
}

TEST_P(EmbedRowsTest, DoesNothingForNoIds) {
  const StoredWeights table(DType::kBF16, 4, 20, 3);
  EmbedRows(*backend_, table.block(), 0, {}, 1.0f, {nullptr, DType::kF32, 0, 20, 20});
}

FACET_INSTANTIATE_FOR_ALL_BACKENDS(EmbedRowsTest);

}  // namespace
}  // namespace facet::ops
