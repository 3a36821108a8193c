#include "machine/kernel_grids.h"

#include <stdexcept>

namespace cllm {
namespace {

using Point = std::vector<std::int64_t>;
using Axes = std::vector<Point>;

constexpr std::int64_t kNear = 384, kMiddle = 8 << 10, kFar = 96 << 10;  // KiB: L2, L3, memory
constexpr std::int64_t kHeads = 4;  // side by side in a row of attention, as in a step

// Products and attention take a few ms at most. Beyond the ends of an axis the rate stays constant.
Axes product_axes() { return {{16, 128, 512}, {32, 128}, {64, 256, 1024}, {kMiddle / 4, kFar}}; }
Axes attention_axes() { return {{16, 64, 256, 1024}, {16, 32, 64, 128}}; }
Axes row_axes() { return {{16}, {64, 768}, {kNear, kMiddle, kFar}}; }
Axes logit_axes() { return {{64}, {64, 512}, {kNear, kMiddle, kFar}}; }
Axes add_axes() { return {{32, 768}, {kNear, kMiddle, kFar}}; }
Axes flat_axes() { return {{16384}, {kNear, kMiddle, kFar}}; }

struct Measured {
  const char* name;
  const char* kernel;  // the name of its case
  int variant;
  Axes (*axes)();
};

// Measurements are kept in files, so a name must not change.
constexpr Measured kMeasured[] = {
    {"gemm_nn", "gemm_weight", 0, product_axes},
    {"gemm_nt", "gemm_weight", 1, product_axes},
    {"gemm_tn", "gemm", 2, product_axes},
    {"gemm_packed", "gemm_packed", 0, product_axes},
    {"attention_forward", "attention_forward", 0, attention_axes},
    {"attention_backward", "attention_backward", 0, attention_axes},
    {"attention_forward_dropout", "attention_forward", 1, attention_axes},
    {"attention_backward_dropout", "attention_backward", 1, attention_axes},
    {"norm_forward", "layernorm_forward", 0, row_axes},
    {"norm_backward", "layernorm_backward", 0, row_axes},
    {"rmsnorm_forward", "rmsnorm_forward", 0, row_axes},
    {"rmsnorm_backward", "rmsnorm_backward", 0, row_axes},
    {"rotary_forward", "rotary_forward", 0, row_axes},
    {"rotary_backward", "rotary_backward", 0, row_axes},
    {"bias_add", "bias_add", 0, row_axes},
    {"bias_gelu", "bias_gelu", 0, row_axes},
    {"bias_gelu_erf", "bias_gelu_erf", 0, row_axes},
    {"bias_relu", "bias_relu", 0, row_axes},
    {"gelu_backward", "gelu_backward", 0, row_axes},
    {"swiglu", "swiglu", 0, row_axes},
    {"swiglu_backward", "swiglu_backward", 0, row_axes},
    {"column_sums", "column_sums", 0, row_axes},
    {"dropout_rows", "dropout_rows", 0, row_axes},
    {"softmax_gradient", "softmax_gradient", 0, logit_axes},
    {"bias_residual", "bias_residual", 0, row_axes},
    {"bias_dropout_residual", "bias_dropout_residual", 0, row_axes},
    {"softmax_stats", "softmax_stats", 0, logit_axes},
    {"add", "add", 0, add_axes},
    {"sum_2", "ordered_sum", 0, flat_axes},
    {"sum_3", "ordered_sum", 1, flat_axes},
    {"sum_squares", "sum_squares", 0, flat_axes},
    {"adamw", "adamw", 0, flat_axes},
};

std::vector<KernelGrid> grids_of(bool bf16) {
  std::vector<KernelGrid> grids;
  for (const Measured& m : kMeasured) {
    for (const KernelCase& one : kernel_cases()) {
      if (one.bf16 != bf16 || one.kernel != std::string(m.kernel)) continue;
      grids.push_back({(bf16 ? "bf16_" : "") + std::string(m.name), &one, m.variant, m.axes()});
    }
  }
  return grids;
}

}  // namespace

KernelSizes KernelGrid::sizes(const Point& point) const {
  switch (what->shape) {
    case KernelShape::kProduct:
      return {point[0], point[1], point[2], variant};
    case KernelShape::kAttention:
      return {point[0], point[1], point[0], variant, kHeads};
    case KernelShape::kRows:
    case KernelShape::kFlat:
      break;
  }
  if (axes.size() == 2) return {1, point[0], 1, variant};
  return {point[0], point[1], 1, variant};
}

std::int64_t KernelGrid::kib(const Point& point) const {
  return what->shape == KernelShape::kAttention ? 0 : point.back();
}

double KernelGrid::work(const Point& point) const {
  const KernelSizes s = sizes(point);
  const bool attention = what->shape == KernelShape::kAttention;
  return static_cast<double>(s.rows * s.columns * (attention ? s.rows : s.depth));
}

const std::vector<KernelGrid>& kernel_grids(Precision precision) {
  static const std::vector<KernelGrid> floats = grids_of(false), halves = grids_of(true);
  return precision == Precision::kBf16 ? halves : floats;
}

const KernelGrid& kernel_grid(const std::string& name) {
  for (Precision precision : {Precision::kFp32, Precision::kBf16}) {
    for (const KernelGrid& grid : kernel_grids(precision)) {
      if (name == grid.name) return grid;
    }
  }
  throw std::invalid_argument("no kernel is measured as " + name);
}

}  // namespace cllm
