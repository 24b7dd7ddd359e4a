#ifndef FACET_ROUTER_ADMISSION_H_
#define FACET_ROUTER_ADMISSION_H_

#include <memory>
#include <mutex>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace facet {

// Bounds the number of requests that are in the router at the same time.
//
// Thread-safe. Shared by its permits: may go before them.
class Admission {
 public:
  // One place, given back when destroyed.
  class Permit {
   public:
    Permit() = default;
    Permit(Permit&& other) noexcept = default;
    Permit& operator=(Permit&& other) noexcept;
    ~Permit() { Release(); }

    bool held() const { return state_ != nullptr; }
    void Release();

   private:
    friend class Admission;
    struct State;
    Permit(std::shared_ptr<State> state, absl::Time since)
        : state_(std::move(state)), since_(since) {}

    std::shared_ptr<State> state_;
    absl::Time since_;
  };

  // `max_requests` >= 1.
  explicit Admission(int max_requests);

  // ResourceExhausted, with the time after which a place is likely to be free (base/retry_after.h),
  // when all places are taken. The hint is the mean time a place was held of late, divided by the
  // number of places, within [50 ms, 10 s].
  absl::StatusOr<Permit> Admit();

  int in_flight() const;

 private:
  std::shared_ptr<Permit::State> state_;
};

}  // namespace facet

#endif  // FACET_ROUTER_ADMISSION_H_
