#include "train/touch_stage.h"

#include <algorithm>

namespace cllm {

TouchStage::TouchStage(ModelState& state, const SphereTree& tree)
    : state_(state),
      owners_(std::min(tree.plan().subtrees_above(tree.most_active_workers()),
                       static_cast<int>(state.layout.blocks().size()))) {
  const auto blocks = static_cast<std::int32_t>(state.layout.blocks().size());
  std::vector<JobPlan> jobs(static_cast<std::size_t>(owners_));
  for (int s = 0; s < owners_; ++s) {
    JobPlan& job = jobs[static_cast<std::size_t>(s)];
    job.phases = {{blocks / owners_ + (s < blocks % owners_ ? 1 : 0), {}}};
    job.reports = true;
    job.subtree = s;
  }
  TileRunner& runner = *this;
  stage_ = std::make_unique<Stage>(std::move(jobs), tree.plan().worker_subtrees, runner);
}

void TouchStage::run_tile(int, const TileClaim& claim) {
  constexpr std::int64_t kPage = 4096 / sizeof(float);
  const auto index = static_cast<std::size_t>(claim.job + claim.tile * owners_);
  const Block& block = state_.layout.blocks()[index];
  for (AlignedBuffer<float>* range :
       {&state_.parameters, &state_.first_moment, &state_.second_moment}) {
    for (std::int64_t i = 0; i < block.size; i += kPage) {
      (*range)[static_cast<std::size_t>(block.offset + i)] = 0.0f;
    }
  }
}

void TouchStage::begin(Stage& stage) {
  for (int job = 0; job < owners_; ++job) stage.arrive(job);
}

bool TouchStage::on_done(Stage&, int) { return ++jobs_done_ == owners_; }

}  // namespace cllm
