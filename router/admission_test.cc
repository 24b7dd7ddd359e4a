#include "router/admission.h"

#include <atomic>
#include <thread>
#include <vector>

#include "base/retry_after.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

TEST(AdmissionTest, RefusesMoreThanItsPlacesAndSaysWhenToComeAgain) {
  Admission admission(2);
  auto first = admission.Admit();
  auto second = admission.Admit();
  ASSERT_THAT(first, IsOk());
  ASSERT_THAT(second, IsOk());
  const auto third = admission.Admit();
  EXPECT_THAT(third, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("2")));
  const auto after = RetryAfter(third.status());
  ASSERT_TRUE(after.has_value());
  EXPECT_GE(*after, absl::Milliseconds(50));
  EXPECT_LE(*after, absl::Seconds(10));
  first->Release();
  EXPECT_EQ(admission.in_flight(), 1);
  EXPECT_THAT(admission.Admit(), IsOk());
}

TEST(AdmissionTest, APermitGivesItsPlaceBackOnce) {
  Admission admission(5);
  {
    auto permit = admission.Admit();
    Admission::Permit moved = *std::move(permit);
    EXPECT_TRUE(moved.held());
    EXPECT_EQ(admission.in_flight(), 1);
    Admission::Permit other = *admission.Admit();
    EXPECT_EQ(admission.in_flight(), 2);
    other = std::move(moved);  // gives its own place back
    EXPECT_EQ(admission.in_flight(), 1);
    other.Release();
    other.Release();
    EXPECT_EQ(admission.in_flight(), 0);
  }
  EXPECT_EQ(admission.in_flight(), 0);
}

TEST(AdmissionTest, ThePermitMayOutliveTheAdmission) {
  Admission::Permit permit;
  {
    Admission admission(1);
    permit = *admission.Admit();
  }
  permit.Release();
  EXPECT_FALSE(permit.held());
}

TEST(AdmissionTest, NeverAdmitsTooManyAtTheSameTime) {
  constexpr int kPlaces = 3;
  Admission admission(kPlaces);
  std::atomic<int> inside{0}, most{0}, admitted{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        const auto permit = admission.Admit();
        if (!permit.ok()) continue;
        ++admitted;
        const int now = ++inside;
        int seen = most.load();
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        --inside;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most, kPlaces);
  EXPECT_GT(admitted, 0);
  EXPECT_EQ(admission.in_flight(), 0);
}

}  // namespace
}  // namespace facet
