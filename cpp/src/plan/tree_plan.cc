#include "cllm/tree_plan.h"

#include <algorithm>

#include "cllm/error.h"

namespace cllm {
namespace {

/// Says how the spheres below one inner sphere are dealt; `controls` == 0 means that all are its
/// workers.
struct Deal {
  std::int64_t controls;
  std::int64_t share;  ///< spheres below each control; the first `extra` have one more
  std::int64_t extra;
};

// A tree in which every sphere has one child has one leaf, so that more threads would make no more
// workers. Order 1 therefore branches as order 2 does.
Deal deal(std::int64_t below, int symmetry_order) {
  const std::int64_t order = std::max(symmetry_order, 2);
  if (below <= order) return {0, 0, 0};
  const std::int64_t controls = std::min(std::clamp<std::int64_t>(below / 5, 2, order), below / 2);
  const std::int64_t rest = below - controls;
  return {controls, rest / controls, rest % controls};
}

std::int64_t workers_below(std::int64_t below, int symmetry_order) {
  const Deal d = deal(below, symmetry_order);
  if (d.controls == 0) return below;
  std::int64_t workers = (d.controls - d.extra) * workers_below(d.share, symmetry_order);
  if (d.extra > 0) workers += d.extra * workers_below(d.share + 1, symmetry_order);
  return workers;
}

void check_arguments(std::int64_t count, const char* name, int symmetry_order) {
  constexpr std::int64_t kMost = 1'000'000;
  if (count < 1 || count > kMost) {
    throw InputError({std::string("the number of ") + name + " is out of range",
                      std::to_string(count), "1 to " + std::to_string(kMost), name, ""});
  }
  if (symmetry_order < 1) {
    throw InputError({"the symmetry order is too small", std::to_string(symmetry_order),
                      "1 or more", "symmetry", "12 is the kissing number in three dimensions"});
  }
}

}  // namespace

const char* role_name(SphereRole role) {
  switch (role) {
    case SphereRole::kRoot:
      return "root";
    case SphereRole::kControl:
      return "control";
    case SphereRole::kWorker:
      return "worker";
    case SphereRole::kRootWorker:
      return "root+worker";
  }
  return "";
}

TreePlan plan_tree(std::int64_t threads, int symmetry_order) {
  check_arguments(threads, "threads", symmetry_order);
  TreePlan plan;
  plan.symmetry_order = symmetry_order;
  auto& spheres = plan.spheres;
  spheres.reserve(static_cast<std::size_t>(threads));
  std::vector<std::int64_t> below = {threads - 1};  // spheres below each one, itself not counted
  spheres.push_back({});
  spheres[0].role = threads == 1 ? SphereRole::kRootWorker : SphereRole::kRoot;

  // A sphere's children are appended when its turn comes, so ids go level by level.
  for (std::size_t i = 0; i < spheres.size(); ++i) {
    const std::int64_t n = below[i];
    const Deal d = deal(n, symmetry_order);
    const std::int64_t children = d.controls == 0 ? n : d.controls;
    spheres[i].first_child = static_cast<int>(spheres.size());
    spheres[i].children = static_cast<int>(children);
    for (std::int64_t c = 0; c < children; ++c) {
      const std::int64_t share = d.controls == 0 ? 0 : d.share + (c < d.extra ? 1 : 0);
      SpherePlan child;
      child.id = static_cast<int>(spheres.size());
      child.level = spheres[i].level + 1;
      child.parent = static_cast<int>(i);
      child.role = share > 0 ? SphereRole::kControl : SphereRole::kWorker;
      child.subtree = i == 0 ? static_cast<int>(c) : spheres[i].subtree;
      spheres.push_back(child);
      below.push_back(share);
    }
  }

  // Depth-first search visits the leaves from left to right.
  std::vector<int> stack = {0};
  while (!stack.empty()) {
    const SpherePlan& s = spheres[static_cast<std::size_t>(stack.back())];
    stack.pop_back();
    if (s.children == 0) {
      plan.workers.push_back(s.id);
      plan.worker_subtrees.push_back(std::max(0, s.subtree));
    }
    for (int c = s.children - 1; c >= 0; --c) stack.push_back(s.first_child + c);
  }
  return plan;
}

std::vector<int> TreePlan::owned_runs(std::int64_t active) const {
  const auto last = static_cast<std::size_t>(active - 1);
  const bool each = worker_subtrees.at(last) == 0;
  std::vector<int> runs(workers.size());
  for (std::size_t w = 0; w < runs.size(); ++w) {
    const std::size_t like = std::min(w, last);
    runs[w] = each ? static_cast<int>(like) : worker_subtrees[like];
  }
  return runs;
}

std::int64_t count_workers(std::int64_t threads, int symmetry_order) {
  check_arguments(threads, "threads", symmetry_order);
  return threads == 1 ? 1 : workers_below(threads - 1, symmetry_order);
}

std::int64_t threads_for_workers(std::int64_t workers, int symmetry_order) {
  check_arguments(workers, "workers", symmetry_order);
  // One more sphere adds at most one worker, so no count is skipped on the way up.
  std::int64_t threads = workers;
  while (count_workers(threads, symmetry_order) != workers) ++threads;
  return threads;
}

}  // namespace cllm
