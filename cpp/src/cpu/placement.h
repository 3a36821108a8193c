// Placement chooses the CPU that each worker computes on. It is a pure function of the machine and
// of the tree of spheres.
//
// Fast cores come first, then slower ones, then second hyperthreads. Siblings get neighbouring
// cores: of one cache if they fit there, else of one memory node, else of one socket. Families are
// spread over the nodes, because one family alone can use the full speed of a node's memory.
//
// A worker is bound to its CPU only where the process owns its cores: there is no quota that would
// stop it anyway, no hyperthread of another process beside it, and a worker for each core that it
// may use. With fewer workers than cores another run would choose the same cores, so the kernel
// decides.
#pragma once

#include <string>
#include <vector>

#include "cllm/tree_plan.h"
#include "cpu/allowance.h"

namespace cllm {

/// Returns the CPU of each of the first `active` workers, left to right; -1 for those beyond the
/// number of CPUs. Controls and root get none: they run where there is room.
std::vector<int> place(const Topology& cpus, const TreePlan& plan, int active);

struct Placement {
  std::vector<int> worker_cpus;  ///< empty: no worker is bound
  std::string text;              ///< "pinned", or "not pinned: " and why
};

Placement plan_placement(const Allowance& allowance, const TreePlan& plan, int active);

}  // namespace cllm
