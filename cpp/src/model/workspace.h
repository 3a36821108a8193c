// A Workspace holds the activations of one position while a shard goes through forward and
// backward.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/bf16.h"
#include "model/layout.h"
#include "model/pass.h"
#include "model/precision.h"

namespace cllm {

/// The shapes below are made from this: R = sequences * T rows.
struct ShardShape {
  std::int64_t sequences;
  std::int64_t length;  ///< T
  std::int64_t rows() const noexcept { return sequences * length; }
};

/// Holds what one layer keeps from forward for backward. With its operands it is 56 C bytes a row
/// and a little more in GPT-2, 32 C with Bf16. What a model does not have is null. Letters: Q and K
/// are the columns of queries and keys, F those of the hidden layer.
struct LayerActivations {
  float* x;          // [R, C]   the residual stream entering the layer
  float* mean1;      // [R]      null with RMS norms
  float* rstd1;      // [R]
  float* lse;        // [sequences, H, T]
  float* middle;     // [R, C]   the residual stream after attention
  float* mean2;      // [R]
  float* rstd2;      // [R]
  float* heads;      // [R, Q + 2K] what the norms of heads take: q and k
  float* head_rstd;  // [heads of q and k, R]
};

template <class T>
struct LayerOperands {
  T* qkv;        // [R, Q + 2K]
  T* attended;   // [R, Q]  heads side by side, before the projection
  T* activated;  // [R, F]  what the hidden layer hands to its second product
  T* slope;      // [R, F]  the activation's derivative, by the gate; null without a backward pass
  T* up_slope;   // [R, F]  the derivative by what the gate multiplies
  /// [R, P r] s x A^T of the linear maps with adapters, of P parts and rank r.
  std::array<T*, kLinearSites> adapted;
};

/// Holds what products read, stored as T. Gradients that are also added up or normalised exist as
/// floats, too: in the same memory when T is float, unless dropout lies in between.
template <class T>
struct Operands {
  std::vector<LayerOperands<T>> layers;
  T* normed1;   // [R, C] output of a layer's first norm (forward; again in backward)
  T* normed2;   // [R, C] of its second
  T* features;  // [R, C] output of the final norm
  // The backward pass uses these.
  T* dx[2];      // [R, C]
  T* dmiddle;    // [R, C]
  T* dattended;  // [R, Q]  the memory of dnorm, if it is as wide and has the type
  T* dhidden;    // [R, F]  of the gate and what it multiplies: [R, 2F]
  T* dqkv;       // [R, Q + 2K]
  std::array<T*, kLinearSites> dadapted;  // [R, P r] s times the gradient of x A^T
  std::array<T*, kLinearSites> dropped;   // [R, inputs] x for adapters after dropout; else null
};

/// Holds sums over groups of rows, which are later added up in group order: [groups, N] each.
struct PartialSums {
  float* gamma;  // [groups, C] gradient of a norm's weight
  float* beta;   // [groups, C] of its bias
  float* below;  // [groups, C] sum of the gradient that leaves the pass: a bias further down
};

/// Holds the buffers of one shard. Thread safety: the program decides which tile writes what; the
/// buffers know nothing of it.
class Workspace {
 public:
  /// Makes room for shards of at most `largest` sequences.
  Workspace(const ParameterLayout& layout, const ShardShape& largest, Pass pass,
            Precision precision = Precision::kFp32);
  /// Does the same in memory of the caller, which must outlive it: floats_for() floats.
  Workspace(const ParameterLayout& layout, const ShardShape& largest, Pass pass,
            Precision precision, float* memory);

  std::vector<LayerActivations> layers;
  float* x_final;     // [R, C] leaving the last layer
  float* mean_final;  // [R]    null with RMS norms
  float* rstd_final;  // [R]
  float* logits;      // [chunk rows, V'], then their gradient: T, each row where its logits were
  float* block_max;   // [vocabulary blocks, chunk rows]
  float* block_sum;   // [vocabulary blocks, chunk rows]
  float* row_loss;    // [R]
  // The backward pass uses these.
  float* dx[2];    // [R, C] gradient of the residual stream, two in turn
  float* dmiddle;  // [R, C]
  float* dnorm;    // [R, C] gradient of a norm's output
  // These are partial sums of gradients.
  float* hidden_bias;  // [row tiles, F]
  float* qkv_bias;     // [sequences, Q + 2K]
  float* query_norm;   // [sequences * heads of keys, D]
  float* key_norm;     // [sequences * heads of keys, D]
  PartialSums norm1, norm2, norm_final;

  Precision precision() const noexcept { return precision_; }
  /// Returns the operands. REQUIRES: T is the type of the precision.
  template <class T>
  const Operands<T>& operands() const noexcept;

  /// These return how many floats one takes, a whole number of pages, and how many bytes.
  static std::size_t floats_for(const ParameterLayout& layout, const ShardShape& largest, Pass pass,
                                Precision precision = Precision::kFp32);
  static std::size_t bytes_for(const ParameterLayout& layout, const ShardShape& largest, Pass pass,
                               Precision precision = Precision::kFp32);

 private:
  std::size_t lay_out(float* base, const ParameterLayout& layout, const ShardShape& largest,
                      Pass pass);
  explicit Workspace(Precision precision) : precision_(precision) {}

  Precision precision_;
  AlignedBuffer<float> memory_;
  Operands<float> floats_{};
  Operands<Bf16> halves_{};
};

template <>
inline const Operands<float>& Workspace::operands() const noexcept {
  return floats_;
}
template <>
inline const Operands<Bf16>& Workspace::operands() const noexcept {
  return halves_;
}

}  // namespace cllm
