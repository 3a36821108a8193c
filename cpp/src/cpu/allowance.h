// How many cores and how much memory this process may really use: affinity mask, cgroups, topology.
//
// Cores are counted so that no worker is ever stopped for want of CPU time: a quota of 2.5 cores
// makes 2 workers. A third would have all of them stopped together at the end of every period.
#pragma once

#include <string>
#include <vector>

#include "cpu/topology.h"

namespace cllm {

/// CPUs that threads made by the calling one may use, ascending: those that it may run on itself,
/// or all again where an OpenMP runtime bound it to a part of them (see cpu/affinity.h).
std::vector<int> usable_cpus();

/// The part of the machine that is ours.
struct Allowance {
  Topology cpus;                ///< those that threads may run on
  double quota = 0;             ///< CPU time per second, in cores; infinity when nothing limits it
  bool whole = false;           ///< every CPU of the machine is among them
  bool cores_are_ours = false;  ///< no hyperthread of another process sits beside one of ours

  /// Most workers that can compute at the same time: CPUs, within the quota; at least 1.
  int most_workers() const noexcept;
  /// The same with one worker a physical core.
  int physical_workers() const noexcept;
  std::vector<int> ids() const;
};

/// REQUIRES: `affinity` is ascending and not empty.
Allowance read_allowance(const std::vector<int>& affinity, const std::string& root = "/");

/// The allowance of the calling thread.
Allowance allowance();

/// Its most_workers().
int usable_cores();

/// What this process has in memory, in bytes: its own, and files that are mapped (programs, data).
struct Resident {
  double own = 0, files = 0;
};
Resident resident_memory(const std::string& root = "/");

/// How much this process can have in all, in bytes: what it has, and the smaller of the system's
/// available memory and what others leave of the cgroups' limits. Infinity when nothing is known.
double memory_limit_bytes(const std::string& root = "/");

}  // namespace cllm
