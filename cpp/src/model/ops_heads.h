// These operations make the heads of q and k: each is normalised if the model does so (Qwen3), and
// turned by the position of its row (Su et al. 2021). Backward undoes both.
#pragma once

#include "model/ops_rows.h"

namespace cllm {

/// Makes columns n of q, k and v side by side: whole heads.
template <class T>
void ShardOps<T>::make_heads(const Linear& linear, const Range& m, const Range& n) const {
  const std::int64_t D = cuts.config.head_width();
  const std::int64_t values = cuts.config.query_width() + cuts.config.key_width();
  const Range heads{n.begin, std::min(n.end, values)}, rest{std::max(n.begin, values), n.end};
  const MatrixView<T> out = part_of(layer_operands.qkv, linear.outputs, m, n);
  const bool normed = parts.query_norm.has_value();
  const MatrixView<float> to =
      normed ? part_of(activations.heads, linear.outputs, m, n) : product_tile(out, n);
  times_weight(linear, m, n, to);
  if (rest.size() > 0) {
    const std::int64_t at = rest.begin - n.begin;
    stored_kernels.bias_add(m.size(), rest.size(), bias_of(linear) + rest.begin, to.at(0, at),
                            out.at(0, at));
  }
  if (heads.size() <= 0) return;
  const MatrixView<float> from = normed ? product_tile(out, n) : to;
  if (normed) normalise_heads(m, heads, from);
  in_documents(m, [&](const Range& rows, std::int64_t first) {
    const std::int64_t r = rows.begin - m.begin;
    stored_kernels.rotary_forward(rows.size(), heads.size() / D, D, cuts.turns.data() + first * D,
                                  bias_of(linear) + heads.begin, from.at(r, 0), out.at(r, 0));
  });
}

/// Normalises every head of columns n.
template <class T>
void ShardOps<T>::normalise_heads(const Range& m, const Range& n, MatrixView<float> out) const {
  const std::int64_t D = cuts.config.head_width(), W = cuts.config.qkv_width();
  for (std::int64_t h = n.begin / D; h < n.end / D; ++h) {
    const Norm& norm = h < cuts.config.heads ? *parts.query_norm : *parts.key_norm;
    const MatrixView<const float> x = MatrixView<float>{activations.heads, W}.at(m.begin, h * D);
    kernels.rmsnorm_forward(m.size(), D, epsilon, x, parameter(norm.weight),
                            out.at(0, h * D - n.begin), activations.head_rstd + h * R + m.begin);
  }
}

/// Turns the gradients of head k of sequence s, and of the queries that it serves, into those of
/// what was normalised and turned.
template <class T>
void ShardOps<T>::turn_back(std::int64_t s, std::int64_t k, const AttentionArgs<T>& args) const {
  const std::int64_t L = cuts.shape.length, D = cuts.config.head_width();
  if (!parts.query_norm) {
    return in_documents({s * L, (s + 1) * L}, [&](const Range& rows, std::int64_t first) {
      const float* const turns = cuts.turns.data() + first * D;
      const auto turn = [&](std::int64_t heads, T* gradient) {
        const auto part = MatrixView<T>{gradient, args.ld_dqkv}.at(rows.begin - s * L, 0);
        stored_kernels.rotary_backward(rows.size(), heads, D, turns, part, part);
      };
      turn(args.group, args.dq);
      turn(1, args.dk);
    });
  }
  const std::int64_t slot = (s * cuts.config.key_value_heads() + k) * D;
  for (std::int64_t g = 0; g < args.group; ++g) {
    head_backward(s, k * args.group + g, *parts.query_norm, args.dq + g * D,
                  workspace.query_norm + slot, g > 0);
  }
  head_backward(s, cuts.config.heads + k, *parts.key_norm, args.dk, workspace.key_norm + slot,
                false);
}

/// Does so for one head of q and k, whose gradient [T, D] is turned and sent back through its norm
/// in floats. `sums` receives the gradient of the norm's weight.
template <class T>
void ShardOps<T>::head_backward(std::int64_t s, std::int64_t head, const Norm& norm, T* gradient,
                                float* sums, bool accumulate) const {
  const std::int64_t L = cuts.shape.length, D = cuts.config.head_width();
  const std::int64_t W = cuts.config.qkv_width();
  MatrixView<float> dx;
  MatrixView<T> copy{nullptr, 0};
  if constexpr (kFloat) {
    dx = {gradient, W};
  } else {
    dx = {scratch, D};
    copy = {gradient, W};
    for (std::int64_t r = 0; r < L; ++r) {
      kernels.widen_bf16(static_cast<std::size_t>(D), copy.row(r), dx.row(r));
    }
  }
  in_documents({s * L, (s + 1) * L}, [&](const Range& rows, std::int64_t first) {
    const MatrixView<float> part = dx.at(rows.begin - s * L, 0);
    kernels.rotary_backward(rows.size(), 1, D, cuts.turns.data() + first * D, part, part);
  });
  const MatrixView<const float> x = MatrixView<float>{activations.heads, W}.at(s * L, head * D);
  stored_kernels.rmsnorm_backward(L, D, x, dx, parameter(norm.weight),
                                  activations.head_rstd + head * R + s * L, {nullptr, 0}, dx, copy,
                                  {nullptr, 0}, sums, accumulate);
}

}  // namespace cllm
