// Writes to every page of parameters and moments before anybody else does, on the threads that will
// update them: the kernel gives a page memory that is near its first writer.
//
// The root would write the parameters first otherwise (initial weights, a checkpoint), and all of
// them would lie in its node's memory, whose bandwidth all workers would then share.
#pragma once

#include <memory>
#include <vector>

#include "engine/model_state.h"
#include "reduce/owners.h"
#include "spheres/tree.h"

namespace cllm {

class TouchStage final : private TileRunner, private Conductor {
 public:
  /// REQUIRES: `state` is new: all zeros.
  TouchStage(ModelState& state, const SphereTree& tree);

  void run(SphereTree& tree) { tree.run(*stage_, *this); }

 private:
  void run_tile(int worker, const TileClaim& claim) override;
  void begin(Stage& stage) override;
  bool on_done(Stage& stage, int job) override;

  ModelState& state_;
  const std::vector<AlignedBuffer<float>*> ranges_;
  const OwnedBlocks owned_;  // as in a training step
  int jobs_done_ = 0;
  std::unique_ptr<Stage> stage_;
};

}  // namespace cllm
