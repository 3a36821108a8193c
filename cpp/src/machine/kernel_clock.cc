#include "machine/kernel_clock.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "cllm/error.h"

namespace cllm {

KernelClock::KernelClock(const MachineRates& rates, const std::string& where) : where_(where) {
  for (Precision precision : {Precision::kFp32, Precision::kBf16}) {
    for (const KernelGrid& kernel : kernel_grids(precision)) add(rates, kernel);
  }
}

void KernelClock::add(const MachineRates& rates, const KernelGrid& kernel) {
  const std::size_t dimensions = kernel.axes.size();
  std::vector<std::set<std::int64_t>> sizes(dimensions);
  std::map<std::vector<std::int64_t>, double> times;
  for (const KernelTime& t : rates.times) {
    if (t.kernel != kernel.name || t.sizes.size() != dimensions) continue;
    if (*std::min_element(t.sizes.begin(), t.sizes.end()) < 1) continue;
    for (std::size_t a = 0; a < dimensions; ++a) sizes[a].insert(t.sizes[a]);
    times[t.sizes] = t.nanoseconds / kernel.work(t.sizes);
  }
  std::size_t points = 1;
  Grid grid{&kernel, {}, {}};
  for (const auto& axis : sizes) {
    points *= axis.size();
    grid.axes.emplace_back();
    for (std::int64_t s : axis) grid.axes.back().push_back(std::log(static_cast<double>(s)));
  }
  if (times.empty() || times.size() != points) {
    lacking_[kernel.name] = times.size();
    return;
  }
  for (const auto& time : times) grid.values.push_back(std::log(time.second));  // sorted by sizes
  grids_[kernel.name] = std::move(grid);
}

const KernelClock::Grid& KernelClock::grid(const std::string& kernel) const {
  const auto lacking = lacking_.find(kernel);
  if (lacking == lacking_.end()) return grids_.at(kernel);
  throw InputError({"the measurement lacks times of a kernel",
                    std::to_string(lacking->second) + " of " + kernel,
                    "every combination of its sizes", where_,
                    "measure again with this version: cllm bench --machine-only"});
}

double KernelClock::nanoseconds(const std::string& kernel,
                                const std::vector<std::int64_t>& sizes) const {
  const Grid& grid = this->grid(kernel);
  const std::size_t dimensions = grid.axes.size();
  // It interpolates in the logarithms: each corner of the cell around the sizes has its weight.
  double value = 0;
  for (std::size_t corner = 0; corner < (std::size_t{1} << dimensions); ++corner) {
    double weight = 1;
    std::size_t at = 0;
    for (std::size_t a = 0; a < dimensions; ++a) {
      const std::vector<double>& axis = grid.axes[a];
      const double x =
          std::clamp(std::log(static_cast<double>(sizes[a])), axis.front(), axis.back());
      std::size_t low = 0;
      while (low + 2 < axis.size() && axis[low + 1] <= x) ++low;
      const bool high = axis.size() > 1 && (corner >> a & 1) != 0;
      const double share = axis.size() > 1 ? (x - axis[low]) / (axis[low + 1] - axis[low]) : 0;
      weight *= (corner >> a & 1) != 0 ? share : 1 - share;
      at = at * axis.size() + low + (high ? 1 : 0);
    }
    if (weight > 0) value += weight * grid.values[at];
  }
  return std::exp(value) * grid.kernel->work(sizes);
}

}  // namespace cllm
