// Each kernel of a step is called alone here, on memory of its own, to be timed. A call takes its
// operands from new places, so that the caches hold as much of them as in a step.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/aligned_buffer.h"
#include "gemm/gemm.h"
#include "machine/kernel_grids.h"

namespace cllm {

/// Owns the operands of one thread and makes calls on them.
class KernelCaller {
 public:
  /// `most_kib` is the largest range to wander through; larger ones are cut to it. Touches its
  /// memory.
  KernelCaller(GemmBackend backend, const KernelTable& kernels, std::int64_t most_kib);

  /// Returns one call, to be made again and again; each time it goes on to the next place. The
  /// backend makes the products, but for those of packed weights, which are always our own.
  /// REQUIRES: called on the thread that made this; `point` has the grid's dimensions. An earlier
  /// call must not be made any more: its operands are gone.
  std::function<void()> call(const KernelGrid& grid, const std::vector<std::int64_t>& point);
  /// Returns a copy of `bytes` from one place to another, far apart.
  std::function<void()> copy(std::size_t bytes);

 private:
  class Places;
  template <class A, class B>
  std::function<void()> product(const KernelSizes& sizes, Places places);

  const KernelTable& k_;
  std::unique_ptr<Gemm> gemm_;
  AlignedBuffer<char> arena_;  ///< operands that stay, then those that wander
};

}  // namespace cllm
