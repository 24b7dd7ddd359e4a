#include "kernels/backend.h"

#include <utility>

namespace facet {

Buffer::~Buffer() {
  if (data_ != nullptr) backend_->Free(data_, bytes_);
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      backend_(std::exchange(other.backend_, nullptr)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(backend_, other.backend_);
  return *this;
}

Tensor Buffer::View(int64_t rows, int64_t cols, DType dtype) const {
  FACET_CHECK(rows >= 0 && cols >= 0) << rows << " x " << cols;
  const auto elements = static_cast<unsigned __int128>(rows) * static_cast<uint64_t>(cols);
  FACET_CHECK(elements * SizeOf(dtype) <= bytes_)
      << rows << " x " << cols << " " << Name(dtype) << " in a buffer of " << bytes_ << " bytes";
  return Tensor{data_, dtype, rows, cols, cols};
}

}  // namespace facet
