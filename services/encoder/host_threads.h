#ifndef FACET_SERVICES_ENCODER_HOST_THREADS_H_
#define FACET_SERVICES_ENCODER_HOST_THREADS_H_

#include "base/log.h"
#include "kernels/backend.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/thread_pool.h"

namespace facet {

// The threads for what a tower computes beside the op set. `backend` must be a CpuBackend.
inline ThreadPool& HostThreads(Backend& backend) {
  FACET_CHECK(backend.device() == Device::kCpu) << "this part of a tower runs on CPUs only";
  return static_cast<CpuBackend&>(backend).pool();
}

}  // namespace facet

#endif  // FACET_SERVICES_ENCODER_HOST_THREADS_H_
