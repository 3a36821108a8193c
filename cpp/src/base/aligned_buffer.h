// Buffers are zeroed memory straight from the kernel, aligned to a huge page, never resized.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include "base/span.h"

namespace cllm {

/// Maps `bytes` (> 0) of zeroed memory, aligned to 2 MiB if it is that large, else to 4 KiB. Asks
/// for huge pages where they can be used. Throws Error when the kernel refuses.
void* map_zeroed(std::size_t bytes);
void unmap(void* data, std::size_t bytes) noexcept;
/// Lets memory of map_zeroed() be taken by small pages, for a range of which much is never touched.
void take_small_pages(void* data, std::size_t bytes) noexcept;
/// Gives the pages back that lie whole in the range. They read as zeros again.
void give_pages_back(void* data, std::size_t bytes) noexcept;

/// Owns an array of T. A page is first touched by the thread that first writes to it; the
/// constructor does not touch pages, because on a NUMA machine the owner of the data should.
template <class T>
class AlignedBuffer {
  static_assert(std::is_trivially_destructible_v<T> && std::is_trivially_copyable_v<T>);

 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size)
      : data_(size ? static_cast<T*>(map_zeroed(size * sizeof(T))) : nullptr), size_(size) {}
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~AlignedBuffer() {
    if (data_ != nullptr) unmap(data_, size_ * sizeof(T));
  }

  T* data() noexcept { return data_; }
  const T* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  std::size_t bytes() const noexcept { return size_ * sizeof(T); }
  T& operator[](std::size_t i) noexcept { return data_[i]; }
  const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  Span<T> span() noexcept { return {data_, size_}; }
  Span<const T> span() const noexcept { return {data_, size_}; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace cllm
