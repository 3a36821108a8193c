// A sphere without a thread: its logic, its mailbox, and what it is doing.
#pragma once

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
    kRunning,   // with a tile
    kAsleep,    // until the stage's event
    kDraining,  // the root after a failure
    kEnded,
  };

  std::unique_ptr<WorkerLogic> worker;
  std::unique_ptr<ControlLogic> control;
  std::deque<Message> mailbox;
  State state = State::kReceiving;
  std::uint32_t observed = 0;
};

inline std::vector<int> children_of(const TreePlan& plan, int id) {
  const SpherePlan& s = plan.spheres[static_cast<std::size_t>(id)];
  std::vector<int> ids;
  for (int c = s.first_child; c < s.first_child + s.children; ++c) ids.push_back(c);
  return ids;
}

}  // namespace cllm
