// A TouchStage writes to every page of weights and moments before anyone else does, on the
// threads that will update them, because the kernel gives a page memory near its first writer.
//
// Otherwise the root would write the parameters first (initial weights, a checkpoint). All of them
// would then lie in the memory of its node, and all workers would share its bandwidth.
#pragma once

#include <memory>
#include <vector>

#include "engine/model_state.h"
#include "reduce/owners.h"
#include "spheres/tree.h"

namespace cllm {

class TouchStage final : private TileRunner, private Conductor {
 public:
  /// Plans the writes. REQUIRES: `state` is new: all zeros.
  TouchStage(ModelState& state, const SphereTree& tree);

  void run(SphereTree& tree) { tree.run(*stage_, *this); }

 private:
  void run_tile(int worker, const TileClaim& claim) override;
  void begin(Stage& stage) override;
  bool on_done(Stage& stage, int job) override;

  ModelState& state_;
  const std::vector<AlignedBuffer<float>*> ranges_;  // of one size
  const OwnedBlocks owned_;                          // the same as in a training step
  int jobs_done_ = 0;
  std::unique_ptr<Stage> stage_;
};

}  // namespace cllm
