// A FoldStage makes the effective embedding of a coupled model between steps: for an evaluation, or
// before the weights are saved.
#pragma once

#include <memory>

#include "engine/model_state.h"
#include "spheres/tree.h"

namespace cllm {

class FoldStage final : private TileRunner, private Conductor {
 public:
  /// Plans the work. REQUIRES: the state has a lattice.
  FoldStage(ModelState& state, const KernelTable& kernels, const SphereTree& tree);

  void run(SphereTree& tree) { tree.run(*stage_, *this); }

 private:
  void run_tile(int worker, const TileClaim& claim) override;
  void begin(Stage& stage) override { stage.arrive(0); }
  bool on_done(Stage&, int) override { return true; }

  ModelState& state_;
  const KernelTable& kernels_;
  std::unique_ptr<Stage> stage_;  // one job
};

}  // namespace cllm
