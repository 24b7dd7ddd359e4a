#include "services/encoder/batch_queue.h"

#include <future>
#include <string>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::ElementsAre;
using testing::IsOk;
using testing::StatusIs;

using Queue = BatchQueue<int, std::string>;
using Outcome = absl::StatusOr<std::vector<std::string>>;

absl::Status Wanted() { return absl::OkStatus(); }

// Writes each number, once the gate is open; remembers the batches.
class Writer {
 public:
  absl::StatusOr<std::vector<std::string>> Run(absl::Span<const int> items) {
    batches.emplace_back(items.begin(), items.end());
    begun.set_value();
    gate.wait();
    begun = std::promise<void>();
    std::vector<std::string> out;
    for (const int item : items) {
      if (item < 0) return absl::InternalError("negative");
      out.push_back(std::to_string(item));
    }
    return out;
  }

  std::vector<std::vector<int>> batches;
  std::promise<void> begun;
  std::promise<void> open;
  std::shared_future<void> gate = open.get_future().share();
};

std::future<Outcome> Submit(Queue& queue, std::vector<Queue::Costed> items,
                            StillWanted wanted = Wanted) {
  auto promise = std::make_shared<std::promise<Outcome>>();
  queue.Submit(std::move(items), std::move(wanted),
               [promise](Outcome outcome) { promise->set_value(std::move(outcome)); });
  return promise->get_future();
}

// A queue whose thread is busy with the item 0, so that what follows waits together.
class BatchQueueTest : public ::testing::Test {
 protected:
  BatchQueueTest() {
    std::future<void> begun = writer_.begun.get_future();
    first_ = Submit(queue_, {{0, 1}});
    begun.wait();
  }
  // The batches after the first.
  std::vector<std::vector<int>> Batches() const {
    return {writer_.batches.begin() + 1, writer_.batches.end()};
  }

  Writer writer_;
  Queue queue_{/*max_batch_cost=*/10,
               [this](absl::Span<const int> items) { return writer_.Run(items); }};
  std::future<Outcome> first_;
};

TEST_F(BatchQueueTest, CallsThatWaitMakeOneBatchAndGetTheirOwnResults) {
  auto a = Submit(queue_, {{1, 2}, {2, 2}});
  auto b = Submit(queue_, {{3, 6}});
  EXPECT_EQ(queue_.waiting(), 3);
  writer_.open.set_value();
  EXPECT_THAT(*a.get(), ElementsAre("1", "2"));
  EXPECT_THAT(*b.get(), ElementsAre("3"));
  EXPECT_THAT(Batches(), ElementsAre(ElementsAre(1, 2, 3)));
}

TEST_F(BatchQueueTest, ACallLargerThanABatchIsCutAndComesBackWhole) {
  auto a = Submit(queue_, {{1, 4}, {2, 4}, {3, 4}, {4, 25}, {5, 4}});
  auto b = Submit(queue_, {{6, 4}});
  writer_.open.set_value();
  EXPECT_THAT(*a.get(), ElementsAre("1", "2", "3", "4", "5"));
  EXPECT_THAT(*b.get(), ElementsAre("6"));
  EXPECT_THAT(Batches(),
              ElementsAre(ElementsAre(1, 2), ElementsAre(3), ElementsAre(4), ElementsAre(5, 6)));
}

TEST_F(BatchQueueTest, ACallThatNobodyWantsIsNotBegunAndTakesNoOtherAlong) {
  int asked = 0;
  auto a = Submit(queue_, {{1, 1}, {2, 1}}, [&asked] {
    ++asked;
    return absl::DeadlineExceededError("late");
  });
  auto b = Submit(queue_, {{3, 1}});
  writer_.open.set_value();
  EXPECT_THAT(a.get(), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(*b.get(), ElementsAre("3"));
  EXPECT_EQ(asked, 1);
  EXPECT_THAT(Batches(), ElementsAre(ElementsAre(3)));
}

TEST_F(BatchQueueTest, AFailedBatchFailsItsCallsOnceAndNoLaterOne) {
  auto a = Submit(queue_, {{-1, 6}, {2, 6}});
  writer_.open.set_value();
  EXPECT_THAT(a.get(), StatusIs(absl::StatusCode::kInternal));
  auto b = Submit(queue_, {{3, 1}});
  EXPECT_THAT(*b.get(), ElementsAre("3"));
}

TEST(BatchQueueEndTest, CallsThatWaitAtTheEndAreTold) {
  Writer writer;
  std::future<void> begun = writer.begun.get_future();
  auto queue =
      std::make_unique<Queue>(10, [&](absl::Span<const int> items) { return writer.Run(items); });
  auto a = Submit(*queue, {{1, 1}});
  begun.wait();
  auto b = Submit(*queue, {{2, 1}});
  std::thread end([&] { queue.reset(); });
  // The batch that runs is finished; whether b still makes a batch depends on who is first.
  writer.open.set_value();
  end.join();
  EXPECT_THAT(*a.get(), ElementsAre("1"));
  const Outcome outcome = b.get();
  EXPECT_TRUE(outcome.ok() || absl::IsUnavailable(outcome.status())) << outcome.status();
}

}  // namespace
}  // namespace facet
