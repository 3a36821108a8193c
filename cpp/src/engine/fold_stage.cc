#include "engine/fold_stage.h"

namespace cllm {

FoldStage::FoldStage(ModelState& state, const KernelTable& kernels, const SphereTree& tree)
    : state_(state), kernels_(kernels) {
  JobPlan job;
  job.phases = {{state.lattice->tiles(), {}}};
  job.reports = true;
  TileRunner& runner = *this;
  stage_ = std::make_unique<Stage>(std::vector<JobPlan>{std::move(job)}, tree.owned_runs(), runner);
}

void FoldStage::run_tile(int, const TileClaim& claim) {
  state_.lattice->fold(claim.tile, state_.parameters.data(), kernels_);
}

}  // namespace cllm
