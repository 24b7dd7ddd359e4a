#include "router/admission.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/retry_after.h"

namespace facet {
namespace {

constexpr absl::Duration kLeastRetryAfter = absl::Milliseconds(50);
constexpr absl::Duration kMostRetryAfter = absl::Seconds(10);
constexpr double kWeightOfNewest = 0.1;

}  // namespace

struct Admission::Permit::State {
  std::mutex mutex;
  int max_requests = 0;
  int in_flight = 0;
  absl::Duration mean_held = absl::Seconds(1);  // until the first request has ended
};

Admission::Permit& Admission::Permit::operator=(Permit&& other) noexcept {
  if (this != &other) {
    Release();
    state_ = std::move(other.state_);
    since_ = other.since_;
  }
  return *this;
}

void Admission::Permit::Release() {
  if (state_ == nullptr) return;
  const absl::Duration held = absl::Now() - since_;
  {
    std::lock_guard<std::mutex> lock(state_->mutex);
    --state_->in_flight;
    state_->mean_held += kWeightOfNewest * (held - state_->mean_held);
  }
  state_.reset();
}

Admission::Admission(int max_requests) : state_(std::make_shared<Permit::State>()) {
  FACET_CHECK(max_requests >= 1) << max_requests;
  state_->max_requests = max_requests;
}

absl::StatusOr<Admission::Permit> Admission::Admit() {
  std::lock_guard<std::mutex> lock(state_->mutex);
  if (state_->in_flight >= state_->max_requests) {
    const absl::Duration after =
        std::clamp(state_->mean_held / state_->max_requests, kLeastRetryAfter, kMostRetryAfter);
    return WithRetryAfter(absl::ResourceExhaustedError(absl::StrCat(
                              "the router is full: ", state_->in_flight, " requests of at most ",
                              state_->max_requests, " are in it")),
                          after);
  }
  ++state_->in_flight;
  return Permit(state_, absl::Now());
}

int Admission::in_flight() const {
  std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->in_flight;
}

}  // namespace facet
