// The allowance says how many cores and how much memory this process may really use, by affinity
// mask, cgroups and topology.
//
// Cores are counted so that the quota never stops a worker: a quota of 2.5 cores makes 2 workers.
// With a third, all of them would be stopped together at the end of every period.
#pragma once

#include <string>
#include <vector>

#include "cpu/topology.h"

namespace cllm {

/// Returns the CPUs that threads made by the calling thread may use, ascending. These are its own,
/// or all of its cpuset where an OpenMP runtime bound it to a part of them (see cpu/affinity.h).
std::vector<int> usable_cpus();

/// Describes the part of the machine that this process may use.
struct Allowance {
  Topology cpus;                ///< the CPUs that threads may run on
  double quota = 0;             ///< CPU time per second, in cores; infinity if nothing limits it
  bool whole = false;           ///< every CPU of the machine is among them
  bool cores_are_ours = false;  ///< no hyperthread of our cores is left to other processes

  /// Returns how many workers can compute at the same time: CPUs within the quota; at least 1.
  int most_workers() const noexcept;
  /// Returns the same with one worker for each physical core.
  int physical_workers() const noexcept;
  std::vector<int> ids() const;
};

/// REQUIRES: `affinity` is ascending and not empty.
Allowance read_allowance(const std::vector<int>& affinity, const std::string& root = "/");

/// Returns the allowance of the calling thread.
Allowance allowance();

/// Returns the calling thread's most_workers().
int usable_cores();

/// Says what this process has in memory, in bytes: its own, and mapped files (programs, data).
struct Resident {
  double own = 0, files = 0;
};
Resident resident_memory(const std::string& root = "/");

/// Returns how much memory this process can have in all, in bytes: what it has, plus the smaller of
/// the system's available memory and what others leave of the cgroups' limits. Infinity when
/// nothing is known.
double memory_limit_bytes(const std::string& root = "/");

}  // namespace cllm
