#include "engine/touch_stage.h"

#include <algorithm>

namespace cllm {
namespace {

/// Returns the ranges that are as long as the weights, as far as they take memory. Adapters, and
/// what is trained whole beside them, are written to first by who reads or sums them.
std::vector<AlignedBuffer<float>*> ranges_of(ModelState& state) {
  if (state.matrices.size() > 0) return {};
  if (state.layout.adapted()) return {&state.parameters};
  return state.ranges();
}

}  // namespace

TouchStage::TouchStage(ModelState& state, const SphereTree& tree)
    : state_(state), ranges_(ranges_of(state)), owned_(state.layout.weights(), tree.owners()) {
  std::vector<JobPlan> jobs(static_cast<std::size_t>(owned_.owners()));
  for (int s = 0; s < owned_.owners(); ++s) {
    JobPlan& job = jobs[static_cast<std::size_t>(s)];
    job.phases = {{owned_.count(s), {}}};
    job.reports = true;
    job.owner = s;
  }
  TileRunner& runner = *this;
  stage_ = std::make_unique<Stage>(std::move(jobs), tree.owned_runs(), runner);
}

void TouchStage::run_tile(int, const TileClaim& claim) {
  constexpr std::int64_t kPage = 4096 / sizeof(float);
  const Block& block = state_.layout.weights().blocks()[owned_.block(claim.job, claim.tile)];
  const auto touch = [&block](AlignedBuffer<float>& range, std::int64_t first) {
    for (std::int64_t i = 0; i < block.size; i += kPage) {
      range[static_cast<std::size_t>(first + i)] = 0.0f;
    }
  };
  for (AlignedBuffer<float>* range : ranges_) touch(*range, block.offset);
  if (!state_.lattice || !state_.lattice->holds(block.tensor)) return;
  touch(state_.lattice->embedding(), block.offset - state_.lattice->offset());
  touch(state_.lattice->gradient(), block.offset - state_.lattice->offset());
}

void TouchStage::begin(Stage& stage) { stage.arrive(0, owned_.owners()); }

bool TouchStage::on_done(Stage&, int) { return ++jobs_done_ == owned_.owners(); }

}  // namespace cllm
