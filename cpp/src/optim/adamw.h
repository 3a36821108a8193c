// AdamW (Loshchilov and Hutter 2019) updates weights by moments of their gradients and decays them
// apart from these.
#pragma once

#include "optim/optimizer.h"

namespace cllm {

struct AdamWConfig {
  double beta1 = 0.9;
  double beta2 = 0.99;
  double epsilon = 1e-8;
  double weight_decay = 0.1;  ///< for tensors that decay: matrices and embeddings
  double lattice_rate = 1;    ///< multiplies the learning rate of the lattice's coefficients
};

/// Computes the arguments that all blocks of one update share. `update` counts applied updates from
/// 1.
AdamWArgs adamw_args(const AdamWConfig& config, std::int64_t update, double learning_rate,
                     double gradient_scale);

/// Keeps a moment of the gradient and one of its square for each trainable.
class AdamW final : public Optimizer {
 public:
  explicit AdamW(const AdamWConfig& config) : config_(config) {}

  const std::vector<StateRange>& ranges() const noexcept override;
  bool trains(const TensorEntry& tensor) const noexcept override {
    return !tensor.frozen && !(tensor.coupling && config_.lattice_rate == 0);
  }
  void begin(std::int64_t update, double learning_rate, double gradient_scale) override;
  void run(const KernelTable& kernels, const TensorTable& trainables, const Block& block,
           const float* gradient, float* values, float* const* state) const override;

 private:
  const AdamWConfig config_;
  AdamWArgs args_{};  // written by begin()
};

}  // namespace cllm
