#ifndef FACET_SHARD_TRANSFORMER_RANK_EXCHANGE_H_
#define FACET_SHARD_TRANSFORMER_RANK_EXCHANGE_H_

#include "absl/status/status.h"
#include "kernels/tensor.h"
#include "shard/collective/collective.h"
#include "shard/transformer/phase_timer.h"

namespace facet {

// Exchange of activations between the ranks; nothing at all where there is only one. Errors are the
// collective's, with the place where they struck. Thread-compatible.
class RankExchange {
 public:
  // Borrowed; `collective` may be null: a rank alone.
  RankExchange(Collective* collective, PhaseTimer* timer)
      : collective_(collective), timer_(timer) {}

  bool alone() const { return collective_ == nullptr || collective_->world_size() == 1; }
  int rank() const { return collective_ == nullptr ? 0 : collective_->rank(); }
  int world_size() const { return collective_ == nullptr ? 1 : collective_->world_size(); }

  // x becomes the sum of all ranks' x, the same bits on each. x must be dense.
  absl::Status Sum(const Tensor& x, const char* place, int layer);

  // all: [world_size * mine.rows, cols]; the rows of rank r begin at r * mine.rows. Both dense.
  absl::Status Gather(const Tensor& mine, const Tensor& all, const char* place);

 private:
  Collective* collective_;
  PhaseTimer* timer_;
};

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_RANK_EXCHANGE_H_
