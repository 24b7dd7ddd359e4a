#include "services/audio/resample.h"

#include <soxr.h>

#include <cmath>

#include "absl/strings/str_cat.h"

namespace facet {

absl::StatusOr<std::vector<float>> Resample(std::vector<float> samples, int from, int to) {
  if (from == to || samples.empty()) return samples;
  const double ratio = static_cast<double>(to) / from;
  std::vector<float> out(
      static_cast<size_t>(std::ceil(static_cast<double>(samples.size()) * ratio)));
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  size_t taken = 0, made = 0;
  const soxr_error_t error =
      soxr_oneshot(from, to, /*num_channels=*/1, samples.data(), samples.size(), &taken, out.data(),
                   out.size(), &made, nullptr, &quality, nullptr);
  if (error != nullptr) {
    return absl::InternalError(absl::StrCat("resampling from ", from, " to ", to, " Hz: ", error));
  }
  out.resize(made);
  return out;
}

}  // namespace facet
