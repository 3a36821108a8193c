// The topology describes the CPUs of a machine as Linux does: which of them share a core, a cache
// or memory, and how fast they are.
//
// Everything is read below `root`, which is "/" except in tests, which feed recorded trees. A
// missing or damaged file makes a CPU look like a core of its own; nothing throws.
#pragma once

#include <string>
#include <vector>

namespace cllm {

/// Describes one CPU. Indices count up from 0 and mean nothing but "the same" or "another".
struct LogicalCpu {
  int id = 0;       ///< the kernel's number
  int core = 0;     ///< physical core
  int thread = 0;   ///< which hyperthread of its core, by id
  int cache = 0;    ///< CPUs with this last level of cache; never crosses a node
  int node = 0;     ///< memory node, which is near; never crosses a package
  int package = 0;  ///< socket
  int speed = 0;    ///< kind of core; 0 is the fastest
};

using Topology = std::vector<LogicalCpu>;  // ascending by id

/// Returns every CPU that is online; none when the system does not say.
Topology read_topology(const std::string& root = "/");

/// Returns the part of the topology that `cpus` (ascending) names; CPUs that it does not know
/// become cores of their own. Cores and threads are numbered anew.
Topology restrict_topology(const Topology& topology, const std::vector<int>& cpus);

int count_cores(const Topology& topology);

/// Counts the memory nodes that have any of the CPUs.
int count_nodes(const Topology& topology);

}  // namespace cllm
