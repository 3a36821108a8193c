// A scheduled sphere has no thread: it is its logic, its mailbox, and what it is doing.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <vector>

#include "cllm/tree_plan.h"
#include "spheres/sphere.h"

namespace cllm {

struct ScheduledSphere {
  enum class State {
    kReceiving,
    kLooking,   // a worker inside a stage
    kRunning,   // it has a tile
    kAsleep,    // until the stage's event
    kDraining,  // the root after a failure
    kEnded,
  };

  int number = -1;  // of its worker
  std::unique_ptr<WorkerLogic> worker;
  std::unique_ptr<ControlLogic> control;
  std::deque<Message> mailbox;
  State state = State::kReceiving;
  std::uint32_t observed = 0;
};

inline std::vector<ChildSphere> children_of(const TreePlan& plan, int id) {
  const SpherePlan& s = plan.spheres[static_cast<std::size_t>(id)];
  std::vector<ChildSphere> children;
  for (int c = s.first_child; c < s.first_child + s.children; ++c) {
    int leftmost = c;
    while (plan.spheres[static_cast<std::size_t>(leftmost)].children > 0) {
      leftmost = plan.spheres[static_cast<std::size_t>(leftmost)].first_child;
    }
    const auto at = std::find(plan.workers.begin(), plan.workers.end(), leftmost);
    children.push_back({c, static_cast<int>(at - plan.workers.begin())});
  }
  return children;
}

/// Makes all spheres of a tree, with the logic that the root has as a worker.
inline std::vector<ScheduledSphere> spheres_of(const TreePlan& plan) {
  std::vector<ScheduledSphere> spheres(plan.spheres.size());
  for (std::size_t w = 0; w < plan.workers.size(); ++w) {
    const SpherePlan& s = plan.spheres[static_cast<std::size_t>(plan.workers[w])];
    ScheduledSphere& sphere = spheres[static_cast<std::size_t>(s.id)];
    sphere.number = static_cast<int>(w);
    sphere.worker = std::make_unique<WorkerLogic>(s.id, s.parent, sphere.number);
  }
  for (const SpherePlan& s : plan.spheres) {
    if (s.role != SphereRole::kControl) continue;
    spheres[static_cast<std::size_t>(s.id)].control =
        std::make_unique<ControlLogic>(s.id, s.parent, children_of(plan, s.id));
  }
  spheres[0].worker = std::make_unique<WorkerLogic>(0, 0, Stage::kRoot);
  return spheres;
}

}  // namespace cllm
