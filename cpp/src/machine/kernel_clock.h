// A kernel clock tells how long a call of a kernel takes on a machine that was measured.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cllm/machine.h"
#include "machine/kernel_grids.h"
#include "model/precision.h"

namespace cllm {

/// Gives the times of kernels at any sizes, between those that were measured. Between two sizes the
/// time of a unit of work follows a constant power; beyond the ends it stays constant.
class KernelClock {
 public:
  /// Throws InputError, naming `where`, unless every kernel that the precision needs was measured
  /// on a whole grid, and those of dropout where they are needed.
  KernelClock(const MachineRates& rates, const std::string& where,
              Precision precision = Precision::kFp32, bool dropout = false);

  double nanoseconds(const std::string& kernel, const std::vector<std::int64_t>& sizes) const;

 private:
  struct Grid {
    const KernelGrid* kernel;
    std::vector<std::vector<double>> axes;  // logarithms of the sizes
    std::vector<double> values;             // of the time of a unit of work, last axis fastest
  };
  void add(const MachineRates& rates, const KernelGrid& kernel, const std::string& where);

  std::map<std::string, Grid> grids_;
};

}  // namespace cllm
