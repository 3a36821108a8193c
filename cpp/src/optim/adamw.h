// AdamW (Loshchilov and Hutter 2019) updates one block of the flat parameter range.
#pragma once

#include "cpu/kernel_table.h"
#include "model/layout.h"

namespace cllm {

struct AdamWConfig {
  double beta1 = 0.9;
  double beta2 = 0.99;
  double epsilon = 1e-8;
  double weight_decay = 0.1;  ///< for tensors that decay: matrices and embeddings
};

/// Computes the arguments that all blocks of one update share. `update` counts applied updates from
/// 1.
AdamWArgs adamw_args(const AdamWConfig& config, std::int64_t update, double learning_rate,
                     double gradient_scale);

/// Returns the factor that brings a gradient of norm `norm` down to `clip`; 1 if clip is 0 or not
/// exceeded.
double clip_scale(double norm, double clip);

/// Holds the optimizer's state, as flat ranges of the layout.
struct AdamWState {
  float* parameters;
  float* first_moment;
  float* second_moment;
};

/// Updates one block; frozen tensors stay as they are.
void adamw_block(const KernelTable& kernels, const ParameterLayout& layout, const Block& block,
                 AdamWArgs args, const float* gradient, const AdamWState& state);

}  // namespace cllm
