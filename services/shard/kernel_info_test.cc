#include "services/shard/kernel_info.h"

#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shard/slicing/testing/released_configs.h"

namespace facet {
namespace {

TEST(KernelInfoTest, NamesTheKernelOfEachKindOfLayer) {
  const auto kernels = AttentionKernelsOf(testing::E2bConfig(), DType::kF8E4M3, "avx2");
  ASSERT_EQ(kernels.size(), 2u);
  EXPECT_EQ(kernels[0].layers, "sliding_attention");
  EXPECT_EQ(kernels[0].count, 28);
  EXPECT_EQ(kernels[0].head_dim, 256);
  EXPECT_EQ(kernels[1].layers, "full_attention");
  EXPECT_EQ(kernels[1].count, 7);
  EXPECT_EQ(kernels[1].head_dim, 512);
  EXPECT_EQ(kernels[1].kv_dtype, "fp8");
  EXPECT_EQ(kernels[1].level, "avx2");
}

TEST(KernelInfoTest, TheMetricCountsTheLayersUnderTheirLabels) {
  prometheus::Registry registry;
  ReportKernels(AttentionKernelsOf(testing::E2bConfig(), DType::kInt8, "reference"), registry);
  const std::vector<prometheus::MetricFamily> families = registry.Collect();
  ASSERT_EQ(families.size(), 1u);
  EXPECT_EQ(families[0].name, "facet_kernel_info");
  std::map<std::string, double> by_head;
  for (const prometheus::ClientMetric& metric : families[0].metric) {
    std::map<std::string, std::string> labels;
    for (const auto& label : metric.label) labels[label.name] = label.value;
    EXPECT_EQ(labels["kv_dtype"], "int8");
    EXPECT_EQ(labels["level"], "reference");
    by_head[labels["layers"] + " " + labels["head_dim"]] = metric.gauge.value;
  }
  EXPECT_THAT(by_head, ::testing::UnorderedElementsAre(::testing::Pair("sliding_attention 256", 28),
                                                       ::testing::Pair("full_attention 512", 7)));
}

}  // namespace
}  // namespace facet
