// Each kernel of a step is called alone here, on memory of its own, to be timed.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "gemm/gemm.h"
#include "model/precision.h"

namespace cllm {

/// Holds a kernel and the sizes at which it is measured: the grid of all combinations of its axes.
/// The sizes of a step lie in between. If memory bounds a kernel, its last axis is the KiB that a
/// worker's calls wander through; this decides in which cache they find their operands.
struct KernelGrid {
  const char* name;
  std::vector<std::vector<std::int64_t>> axes;
  /// The time is roughly proportional to this; the rest varies slowly with size.
  double (*work)(const std::vector<std::int64_t>& sizes);
};

/// Returns every kernel of a step. Sizes: products m, n, k, KiB; attention T, D; passes over rows
/// and over logits: rows, columns, KiB; flat ranges: elements, KiB. The kernels of bf16 come in
/// addition to those of floats.
const std::vector<KernelGrid>& kernel_grids(Precision precision = Precision::kFp32);
/// Returns the grid of that name. REQUIRES: there is one.
const KernelGrid& kernel_grid(const std::string& name);

/// Owns the operands of one thread and makes calls on them.
class KernelCaller {
 public:
  /// `most_kib` is the largest range to wander through; larger ones are cut to it. Touches its
  /// memory.
  KernelCaller(GemmBackend backend, const KernelTable& kernels, std::int64_t most_kib);

  /// Returns one call, to be made again and again; each time it goes on to the next place.
  /// REQUIRES: called on the thread that made this; `sizes` has the grid's dimensions.
  std::function<void()> call(const KernelGrid& grid, const std::vector<std::int64_t>& sizes);
  /// Returns a copy of `bytes` from one place to another, far apart.
  std::function<void()> copy(std::size_t bytes);

 private:
  void fill(std::size_t floats);
  template <class T>
  std::function<void()> call_of(const KernelGrid& grid, const std::string& name,
                                const std::vector<std::int64_t>& sizes);
  template <class A, class B>
  std::function<void()> product(GemmForm form, const std::vector<std::int64_t>& sizes);
  template <class T>
  std::function<void()> packed_product(const std::vector<std::int64_t>& sizes);
  template <class T>
  std::function<void()> attention(bool backward, const std::vector<std::int64_t>& sizes);
  template <class T>
  std::function<void()> rows(const std::string& name, const std::vector<std::int64_t>& sizes);
  std::function<void()> flat(const std::string& name, const std::vector<std::int64_t>& sizes);

  const KernelTable& k_;
  std::unique_ptr<Gemm> gemm_;
  std::size_t floats_;              // of the arena
  AlignedBuffer<float> arena_;      // calls wander through it
  AlignedBuffer<float> small_;      // vectors: bias, gamma, sums
  AlignedBuffer<float> attention_;  // scratch
  std::vector<std::int32_t> targets_;
};

}  // namespace cllm
