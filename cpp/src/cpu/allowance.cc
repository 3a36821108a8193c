#include "cpu/allowance.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>

#include "cpu/affinity.h"
#include "cpu/cgroup.h"

namespace cllm {
namespace {

int within_quota(int cpus, double quota) noexcept {
  return static_cast<int>(std::max(1.0, std::min(static_cast<double>(cpus), std::floor(quota))));
}

/// Returns the CPUs that are in both; all of `affinity` when `groups` names none of them.
std::vector<int> intersection(const std::vector<int>& affinity, const std::vector<int>& groups) {
  std::vector<int> both;
  std::set_intersection(affinity.begin(), affinity.end(), groups.begin(), groups.end(),
                        std::back_inserter(both));
  return both.empty() ? affinity : both;
}

}  // namespace

std::vector<int> usable_cpus() {
  std::vector<int> own = thread_cpus();
  const auto counted = static_cast<std::size_t>(openmp_cpu_count());
  if (counted <= own.size()) return own;
  // libgomp bound this thread. Its CPUs before that are known if they were the whole cpuset.
  std::vector<int> all = cpuset_cpus();
  if (all.size() == counted) return all;
  return own;
}

int Allowance::most_workers() const noexcept {
  return within_quota(static_cast<int>(cpus.size()), quota);
}

int Allowance::physical_workers() const noexcept { return within_quota(count_cores(cpus), quota); }

std::vector<int> Allowance::ids() const {
  std::vector<int> ids;
  for (const LogicalCpu& cpu : cpus) ids.push_back(cpu.id);
  return ids;
}

Allowance read_allowance(const std::vector<int>& affinity, const std::string& root) {
  const Topology machine = read_topology(root);
  const std::vector<int> cpus = intersection(affinity, cgroup_cpus(root));
  Allowance a;
  a.cpus = restrict_topology(machine, cpus);
  a.quota = cpu_quota(root);
  a.whole = true;
  a.cores_are_ours = true;
  std::vector<char> core_of_ours(machine.size(), 0);
  const auto is_ours = [&](const LogicalCpu& c) {
    return std::binary_search(cpus.begin(), cpus.end(), c.id);
  };
  for (const LogicalCpu& c : machine) {
    if (is_ours(c)) core_of_ours[static_cast<std::size_t>(c.core)] = 1;
  }
  for (const LogicalCpu& c : machine) {
    if (is_ours(c)) continue;
    a.whole = false;
    if (core_of_ours[static_cast<std::size_t>(c.core)] != 0) a.cores_are_ours = false;
  }
  return a;
}

Allowance allowance() { return read_allowance(usable_cpus()); }

int usable_cores() { return allowance().most_workers(); }

Resident resident_memory(const std::string& root) {
  constexpr double kPage = 4096;
  std::ifstream file(root + "/proc/self/statm");
  double size = 0, resident = 0, files = 0;
  if (!(file >> size >> resident >> files)) return {};
  return {(resident - files) * kPage, files * kPage};
}

double memory_limit_bytes(const std::string& root) {
  double available = std::numeric_limits<double>::infinity();
  std::ifstream file(root + "/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream text(line);
    std::string key;
    double kilobytes = 0.0;
    if (text >> key >> kilobytes && key == "MemAvailable:") available = kilobytes * 1024.0;
  }
  const double own = resident_memory(root).own;
  return std::min(available + own, cgroup_memory_limit(own, root));
}

}  // namespace cllm
