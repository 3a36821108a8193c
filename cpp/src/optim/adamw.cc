#include "optim/adamw.h"

#include <cmath>

namespace cllm {
namespace {

// Up to here 1 - beta is exact to a thousandth in float, and the bits stay as they have always
// been. Above, beta may round to 1 in float; then the gradient would count for nothing and training
// would stop.
constexpr double kNearOne = 0.9999;

float rest_of(double beta) {
  if (beta > kNearOne) return static_cast<float>(1 - beta);
  return 1.0f - static_cast<float>(beta);
}

/// Returns 1 / (1 - beta^t).
float correction(double beta, double t) {
  if (beta > kNearOne) return static_cast<float>(-1 / std::expm1(t * std::log1p(beta - 1)));
  return static_cast<float>(1 / (1 - std::pow(beta, t)));
}

}  // namespace

AdamWArgs adamw_args(const AdamWConfig& config, std::int64_t update, double learning_rate,
                     double gradient_scale) {
  const auto t = static_cast<double>(update);
  AdamWArgs args{};
  args.learning_rate = static_cast<float>(learning_rate);
  args.beta1 = static_cast<float>(config.beta1);
  args.beta2 = static_cast<float>(config.beta2);
  args.epsilon = static_cast<float>(config.epsilon);
  args.weight_decay = static_cast<float>(config.weight_decay);
  args.correction1 = correction(config.beta1, t);
  args.correction2 = correction(config.beta2, t);
  args.gradient_scale = static_cast<float>(gradient_scale);
  args.rest1 = rest_of(config.beta1);
  args.rest2 = rest_of(config.beta2);
  return args;
}

double clip_scale(double norm, double clip) {
  // This follows torch.nn.utils.clip_grad_norm_, whose 1e-6 keeps the quotient finite.
  return clip > 0 && norm > clip ? clip / (norm + 1e-6) : 1.0;
}

void adamw_block(const KernelTable& kernels, const ParameterLayout& layout, const Block& block,
                 AdamWArgs args, const float* gradient, const AdamWState& state) {
  const TensorEntry& tensor = layout.tensors()[static_cast<std::size_t>(block.tensor)];
  if (tensor.frozen) return;
  if (!tensor.decays) args.weight_decay = 0;
  kernels.adamw(static_cast<std::size_t>(block.size), args, gradient + block.offset,
                state.parameters + block.offset, state.first_moment + block.offset,
                state.second_moment + block.offset);
}

}  // namespace cllm
