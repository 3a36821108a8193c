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

const std::vector<StateRange>& AdamW::ranges() const noexcept {
  static const std::vector<StateRange> ranges = {{"exp_avg", "first moment", true},
                                                 {"exp_avg_sq", "second moment", false}};
  return ranges;
}

void AdamW::begin(std::int64_t update, double learning_rate, double gradient_scale) {
  args_ = adamw_args(config_, update, learning_rate, gradient_scale);
}

void AdamW::run(const KernelTable& kernels, const TensorTable& trainables, const Block& block,
                const float* gradient, float* values, float* const* state) const {
  const TensorEntry& tensor = trainables.tensors()[static_cast<std::size_t>(block.tensor)];
  if (!trains(tensor)) return;
  AdamWArgs args = args_;
  if (tensor.coupling) args.learning_rate *= static_cast<float>(config_.lattice_rate);
  if (!tensor.decays) args.weight_decay = 0;
  kernels.adamw(static_cast<std::size_t>(block.size), args, gradient + block.offset,
                values + block.offset, state[0] + block.offset, state[1] + block.offset);
}

}  // namespace cllm
