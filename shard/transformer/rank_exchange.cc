#include "shard/transformer/rank_exchange.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/log.h"

namespace facet {
namespace {

absl::Span<float> DenseFloats(const Tensor& x) {
  FACET_CHECK(x.row_stride == x.cols || x.rows <= 1) << "exchange of a strided tensor";
  return {x.f32(), static_cast<size_t>(x.rows * x.cols)};
}

absl::Span<uint8_t> Bytes(const Tensor& x) {
  const absl::Span<float> floats = DenseFloats(x);
  return {reinterpret_cast<uint8_t*>(floats.data()), floats.size() * sizeof(float)};
}

absl::Status At(const absl::Status& status, const std::string& place) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(place, ": ", status.message()));
}

}  // namespace

absl::Status RankExchange::Sum(const Tensor& x, const char* place, int layer) {
  if (alone()) return absl::OkStatus();
  const PhaseTimer::Phase phase = timer_->Enter(&StepTimings::collective);
  const absl::Status status = collective_->AllReduceSum(DenseFloats(x));
  timer_->Enter(phase);
  if (status.ok()) return status;
  return At(status, absl::StrCat("sum over the ranks after the ", place, " of layer ", layer));
}

absl::Status RankExchange::Gather(const Tensor& mine, const Tensor& all, const char* place) {
  const PhaseTimer::Phase phase = timer_->Enter(&StepTimings::collective);
  const absl::Status status = collective_->AllGather(Bytes(mine), Bytes(all));
  timer_->Enter(phase);
  if (status.ok()) return status;
  return At(status, absl::StrCat("gathering the ", place));
}

}  // namespace facet
