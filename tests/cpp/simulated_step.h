// A training step by a clock of its own, so that its schedule can be judged for any number of
// workers.
#pragma once

#include <numeric>
#include <queue>

#include "step_schedule.h"

namespace cllm {

class SimulatedStep : public StepSchedule {
 public:
  using StepSchedule::StepSchedule;

  /// The clock goes from the end of one tile to that of the next; workers need no time to look and
  /// the root needs none to answer. REQUIRES: called once.
  void run() {
    took_ = cost_;
    StepInput input{};
    input.instead_of_tile = [](int, const TileClaim&) {};
    stage_->run(*tree_, input);  // leaves the input behind
    tree_.reset();               // its workers would join in
    Stage& stage = stage_->stage();
    stage.reset(worker_count_);
    stage_->begin(stage);
    struct Running {
      double end;
      int worker;
      TileClaim claim;
      bool operator<(const Running& o) const { return end > o.end; }
    };
    std::priority_queue<Running> running;
    std::vector<int> idle(static_cast<std::size_t>(worker_count_));
    std::iota(idle.begin(), idle.end(), 0);
    std::vector<int> at(idle.size(), -1);
    bool complete = false;
    for (wall_ = 0; !complete;) {
      for (std::size_t i = 0; i < idle.size();) {
        const auto w = static_cast<std::size_t>(idle[i]);
        const TileClaim claim = stage.claim(idle[i], at[w]);
        if (!claim) {
          ++i;
          continue;
        }
        at[w] = claim.job;
        const auto& phase =
            cost_[static_cast<std::size_t>(claim.job)][static_cast<std::size_t>(claim.phase)];
        running.push({wall_ + phase[static_cast<std::size_t>(claim.tile)], idle[i], claim});
        idle.erase(idle.begin() + static_cast<std::ptrdiff_t>(i));
      }
      ASSERT_FALSE(running.empty()) << "nobody works and nothing is complete";
      const Running next = running.top();
      running.pop();
      wall_ = next.end;
      idle.push_back(next.worker);
      if (stage.finish(next.claim)) complete = stage_->on_done(stage, next.claim.job);
    }
  }
};

}  // namespace cllm
