// The kernel tests share these: the tables that run here, arrays that notice a stray write or read,
// inputs, and the lengths and placements to try.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "cpu/features.h"

namespace cllm {

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

/// Placements are misalignments of 0 to 15 floats, then flush against a page that may not be
/// touched.
constexpr int kPlacements = 17;
constexpr int kAtPageEnd = 16;

/// Returns every length around every vector width and its multiples, and a few that reach the long
/// loops.
inline std::vector<std::int64_t> lengths() {
  std::vector<std::int64_t> all;
  for (std::int64_t n = 1; n <= 70; ++n) all.push_back(n);
  for (std::int64_t n : {101, 127, 128, 129, 257, 1023, 1024, 1030, 2500}) all.push_back(n);
  return all;
}

/// Returns the placements to try at a length: all of them at short ones, a sample at long ones.
inline std::vector<int> placements(std::int64_t n) {
  if (n > 70) return {0, 1, 13, kAtPageEnd};
  std::vector<int> all(kPlacements);
  for (int p = 0; p < kPlacements; ++p) all[static_cast<std::size_t>(p)] = p;
  return all;
}

/// Holds numbers with a NaN of a known payload around them: a read past the end poisons sums, and
/// intact() sees a write past either end. At a page end, a touch past it is a fault at once.
template <class T>
class GuardedArray {
 public:
  GuardedArray(std::int64_t size, int placement, T value = {})
      : size_(static_cast<std::size_t>(size)) {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t body = ((size_ + 3 * kMargin) * sizeof(T) / page + 1) * page;
    bytes_ = body + page;
    base_ = static_cast<char*>(
        mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED || mprotect(base_ + body, page, PROT_NONE) != 0) std::abort();
    all_ = reinterpret_cast<T*>(base_);
    total_ = body / sizeof(T);
    for (std::size_t i = 0; i < total_; ++i) std::memcpy(all_ + i, &kCanary, sizeof(T));
    begin_ =
        placement == kAtPageEnd ? total_ - size_ : kMargin + static_cast<std::size_t>(placement);
    for (std::size_t i = 0; i < size_; ++i) all_[begin_ + i] = value;
  }
  GuardedArray(const GuardedArray&) = delete;
  GuardedArray& operator=(const GuardedArray&) = delete;
  ~GuardedArray() { munmap(base_, bytes_); }

  T* data() { return all_ + begin_; }
  T& operator[](std::int64_t i) { return all_[begin_ + static_cast<std::size_t>(i)]; }
  std::int64_t size() const { return static_cast<std::int64_t>(size_); }
  std::vector<double> doubles() const { return {all_ + begin_, all_ + begin_ + size_}; }

  bool intact() const {
    for (std::size_t i = 0; i < total_; ++i) {
      if (i == begin_) i += size_;
      if (i < total_ && std::memcmp(all_ + i, &kCanary, sizeof(T)) != 0) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kMargin = 32;
  static constexpr std::uint32_t kCanary = 0x7FC57FC5;  // either half is a NaN too
  std::size_t size_, total_ = 0, begin_ = 0, bytes_ = 0;
  char* base_ = nullptr;
  T* all_ = nullptr;
};
using GuardedFloats = GuardedArray<float>;

/// Fills the array uniformly in [-scale, scale] plus offset, from a seed that the size determines.
inline void fill(GuardedFloats& array, unsigned seed, float scale = 2.0f, float offset = 0.0f) {
  std::mt19937 bits(seed * 7919u + static_cast<unsigned>(array.size()));
  std::uniform_real_distribution<float> uniform(-scale, scale);
  for (std::int64_t i = 0; i < array.size(); ++i) array[i] = uniform(bits) + offset;
}

/// Describes a case of a kernel test, for messages.
inline std::string describe(const KernelTable& table, std::int64_t n, int placement) {
  return std::string(table.name) + ", length " + std::to_string(n) +
         (placement == kAtPageEnd ? ", at page end"
                                  : ", misaligned by " + std::to_string(placement));
}

/// Returns the placement of the k-th array of a case. They differ, so that no kernel may rely on
/// two pointers having the same alignment.
inline int shifted(int placement, int k) {
  return placement == kAtPageEnd ? kAtPageEnd : (placement + 3 * k) % kAtPageEnd;
}

/// Calls body(table, n, placement) for every table, length and placement; stops at a failure.
template <class Body>
void for_all_cases(Body body) {
  for (const KernelTable* table : runnable_kernels()) {
    for (std::int64_t n : lengths()) {
      for (int placement : placements(n)) {
        SCOPED_TRACE(describe(*table, n, placement));
        body(*table, n, placement);
        if (::testing::Test::HasFailure()) return;
      }
    }
  }
}

}  // namespace cllm
