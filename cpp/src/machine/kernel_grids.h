// Kernel grids say with which kernels a machine is measured and at which sizes. Each is a case of
// cpu/kernel_cases.h under the name that a measurement keeps.
#pragma once

#include <string>
#include <vector>

#include "cpu/kernel_cases.h"
#include "model/precision.h"

namespace cllm {

/// Holds a kernel and the sizes at which it is measured: the grid of all combinations of its axes.
/// The sizes of a step lie in between. A point is m, n, k, KiB of a product; T, D of attention;
/// rows, columns, KiB of a pass over rows or logits; elements, KiB of a flat range. A worker's
/// calls wander through the KiB; this decides in which cache they find their operands.
struct KernelGrid {
  std::string name;  ///< such as "norm_forward", for bf16 "bf16_norm_forward"
  const KernelCase* what;
  int variant;  ///< an index into the case's variants
  std::vector<std::vector<std::int64_t>> axes;

  /// Returns a point as the case takes it.
  KernelSizes sizes(const std::vector<std::int64_t>& point) const;
  /// Returns what the calls wander through; 0 for attention, which stays where it is.
  std::int64_t kib(const std::vector<std::int64_t>& point) const;
  /// The time is roughly proportional to this; the rest varies slowly with size.
  double work(const std::vector<std::int64_t>& point) const;
};

/// Returns every kernel of a step. The kernels of bf16 come in addition to those of floats.
const std::vector<KernelGrid>& kernel_grids(Precision precision = Precision::kFp32);
/// Returns the grid of that name. REQUIRES: there is one.
const KernelGrid& kernel_grid(const std::string& name);

}  // namespace cllm
