// A kernel clock tells how long a call of a kernel takes on a machine that was measured.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "cllm/machine.h"
#include "machine/kernel_grids.h"

namespace cllm {

/// Gives the times of kernels at any sizes, between those that were measured. Between two sizes the
/// time of a unit of work follows a constant power; beyond the ends it stays constant.
class KernelClock {
 public:
  /// `where` says in messages where the rates come from.
  KernelClock(const MachineRates& rates, const std::string& where);

  /// Throws InputError when the kernel was not measured on a whole grid. Only what a model calls is
  /// asked for, so a measurement serves models that need no kernel added since. REQUIRES: there is
  /// a grid of that name.
  double nanoseconds(const std::string& kernel, const std::vector<std::int64_t>& sizes) const;

 private:
  struct Grid {
    const KernelGrid* kernel;
    std::vector<std::vector<double>> axes;  // logarithms of the sizes
    std::vector<double> values;             // of the time of a unit of work, last axis fastest
  };
  void add(const MachineRates& rates, const KernelGrid& kernel);
  const Grid& grid(const std::string& kernel) const;

  const std::string where_;
  std::map<std::string, Grid> grids_;
  std::map<std::string, std::size_t> lacking_;  // how many times these have, too few for a grid
};

}  // namespace cllm
