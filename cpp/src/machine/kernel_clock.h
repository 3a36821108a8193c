// A kernel clock tells how long a call of a kernel takes on a machine that was measured.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cllm/machine.h"
#include "model/precision.h"

namespace cllm {

/// Gives the times of kernels at any sizes, between those that were measured. Between two sizes the
/// time of a unit of work follows a constant power; beyond the ends it stays constant.
class KernelClock {
 public:
  /// Throws InputError, naming `where`, unless every kernel that the precision needs was measured
  /// on a whole grid.
  KernelClock(const MachineRates& rates, const std::string& where,
              Precision precision = Precision::kFp32);

  double nanoseconds(const std::string& kernel, const std::vector<std::int64_t>& sizes) const;

 private:
  struct Grid {
    std::vector<std::vector<double>> axes;  // logarithms of the sizes
    std::vector<double> values;             // of the time of a unit of work, last axis fastest
  };
  void add(const MachineRates& rates, const std::string& kernel, const std::string& where);

  std::map<std::string, Grid> grids_;
};

}  // namespace cllm
