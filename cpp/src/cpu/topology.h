// The CPUs of a machine as Linux describes them: which share a core, a cache, memory, and how fast.
//
// Everything is read below `root`, "/" but for tests, which feed recorded trees. A file that is
// missing or damaged makes a CPU look like a core of its own; nothing throws.
#pragma once

#include <string>
#include <vector>

namespace cllm {

/// Indices count up from 0 and mean nothing but "the same" or "another".
struct LogicalCpu {
  int id = 0;       ///< what the kernel calls it
  int core = 0;     ///< physical core
  int thread = 0;   ///< which hyperthread of its core, by id
  int cache = 0;    ///< shares the last level of cache; never crosses a node
  int node = 0;     ///< memory that is near; never crosses a package
  int package = 0;  ///< socket
  int speed = 0;    ///< kind of core, 0 the fastest
};

using Topology = std::vector<LogicalCpu>;  // ascending by id

/// Every CPU that is online; empty when the system does not say.
Topology read_topology(const std::string& root = "/");

/// The part of it that `cpus` (ascending) names; CPUs that it does not know are cores of their own.
/// Cores and threads are counted anew.
Topology restrict_topology(const Topology& topology, const std::vector<int>& cpus);

int count_cores(const Topology& topology);

/// How many memory nodes have any of the CPUs.
int count_nodes(const Topology& topology);

}  // namespace cllm
