// The tree plan is a pure function of a number of threads, made before any thread exists.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cllm {

enum class SphereRole : std::uint8_t {
  kRoot,        ///< coordinates; never computes, except instead of a lone active worker
  kControl,     ///< an inner sphere: passes messages, never computes
  kWorker,      ///< a leaf: computes
  kRootWorker,  ///< the only sphere of a tree of one: both
};

/// Returns "root", "control", "worker" or "root+worker".
const char* role_name(SphereRole role);

/// Describes one sphere. Ids number the tree level by level, so the children of a sphere have the
/// ids [first_child, first_child + children).
struct SpherePlan {
  int id = 0;
  int level = 0;
  int parent = -1;
  SphereRole role = SphereRole::kWorker;
  int first_child = 0;
  int children = 0;
  int subtree = -1;  ///< index of the root's child that it descends from; -1 for the root
};

struct TreePlan {
  int symmetry_order = 12;
  std::vector<SpherePlan> spheres;
  std::vector<int> workers;  ///< ids of the workers from left to right: siblings are neighbours
  std::vector<int> worker_subtrees;  ///< the root's child above each of them, from 0

  /// Returns which run of the parameters' blocks each worker owns while the first `active` take
  /// part, numbered from 0 without gaps. Workers below the same child of the root own the same run;
  /// if that child is the same for all, each owns one of its own. A worker who does not take part
  /// owns what the last one who does owns.
  std::vector<int> owned_runs(std::int64_t active) const;
  int owners(std::int64_t active) const { return owned_runs(active).back() + 1; }
  /// Says whether the root computes while the first `active` workers take part, because it has
  /// nobody to coordinate.
  bool root_computes(std::int64_t active) const {
    return spheres.size() == 1 || (active == 1 && workers.size() > 1);
  }
};

/// Plans a tree of `threads` spheres in which no sphere has more than V children: `symmetry_order`,
/// but 2 for order 1, because a tree has to branch. 1: one sphere that is root and worker. 2 to
/// V + 1: a root and threads - 1 workers. Above: a root, c = min(clamp((threads - 1) / 5, 2, V),
/// (threads - 1) / 2) controls, and the rest dealt evenly below them; a control with more than V
/// below it applies the same rule to its own subtree. Throws InputError for threads < 1 or
/// symmetry_order < 1.
TreePlan plan_tree(std::int64_t threads, int symmetry_order = 12);

/// Returns how many workers plan_tree(threads, symmetry_order) has, without making it.
std::int64_t count_workers(std::int64_t threads, int symmetry_order = 12);

/// Returns the fewest spheres whose tree has exactly `workers` workers.
std::int64_t threads_for_workers(std::int64_t workers, int symmetry_order = 12);

}  // namespace cllm
