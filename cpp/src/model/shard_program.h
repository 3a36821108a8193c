// Forward and backward of one shard as a list of phases of tiles: what a position runs.
//
// A phase is one operation on one range of rows. One thread may run the phases one after another;
// several must keep to what PhaseOrder makes of their accesses, so that rows which are through with
// one operation enter the next while others are still in it. The tiles of a phase are independent
// of each other. Every floating-point sum has an order given by data indices, so the results are
// the same for every way of running the tiles.
#pragma once

#include <vector>

#include "gemm/gemm.h"
#include "model/dropout.h"
#include "model/packed_weights.h"
#include "model/pass.h"
#include "model/phase_order.h"
#include "model/shard_cuts.h"

namespace cllm {

/// What one shard reads and writes.
struct ShardData {
  const float* parameters;  ///< flat range of the layout
  float* gradient;          ///< likewise; training only
  Workspace* workspace;
  const std::int32_t* inputs;   ///< [R] token ids
  const std::int32_t* targets;  ///< [R] token ids; -1: not counted (evaluation only)
  bool accumulate;              ///< false: the gradient is overwritten (first shard of a position)
  float loss_scale;             ///< 1 / tokens of the step batch: scales the gradient, not the loss
  double* loss;                 ///< receives the sum of the rows' losses, rows in order
  float* all_logits = nullptr;  ///< [R, V'] receives every row's logits (evaluation only)
  const PackedWeights* packed = nullptr;  ///< of these parameters, in the workspace's precision
  /// Training with dropout rates: what they are drawn from. Otherwise nothing is dropped.
  const DropoutSource* dropout = nullptr;
  std::int64_t first_sequence = 0;  ///< of the shard in the step batch
};

/// What a worker brings along; one per thread, passed by reference.
struct WorkerContext {
  const KernelTable* kernels;
  Gemm* gemm;
  float* scratch;  ///< worker_scratch_floats floats of its own
};

enum class Op : std::uint8_t {
  // Forward.
  kEmbed,
  kNorm1,
  kNorm2,
  kNormFinal,
  kLinear,
  kAttention,
  // Head.
  kLogits,
  kLoss,
  kLogitGradient,
  kFeatureGradient,
  kTokenWeight,
  // Gradients of what rows carry.
  kNormFinalBackward,
  kNorm2Backward,
  kNorm1Backward,
  kLinearBackward,
  kAttentionBackward,
  kEmbedBackward,
  // Gradients of weights, and of biases and norms.
  kLinearWeight,
  kFinalVectors,
  kHiddenVectors,
  kMiddleVectors,
  kQkvVectors,
  kInputVectors,
};

/// Tiles of one operation that read and write the same rows.
struct Phase {
  Op op;
  std::int64_t layer;
  std::int64_t chunk;  ///< of rows, in the head
  // The operation's tiles first, first + step, ...
  std::int64_t first;
  std::int64_t step;
  std::int32_t tiles;
  Range rows;  ///< of the shard; all of them where its tiles have no rows of their own
  std::vector<Access> accesses;
  LinearSite site = {};  ///< of the operations of a linear map

  std::int64_t tile(std::int32_t index) const noexcept { return first + index * step; }
};

/// Immutable after construction.
class ShardProgram {
 public:
  ShardProgram(const ModelConfig& config, const ParameterLayout& layout, const ShardShape& shape,
               Pass pass, WeightLayout weights);

  const ShardCuts& cuts() const noexcept { return cuts_; }
  const std::vector<Phase>& phases() const noexcept { return phases_; }
  /// Of all phases.
  std::int64_t tiles() const noexcept;
  /// Runs one tile of a phase, 0 <= tile < tiles.
  void run(std::size_t phase, std::int32_t tile, const ShardData& data,
           const WorkerContext& worker) const;

  static std::size_t worker_scratch_floats(const ModelConfig& config, const ShardShape& largest,
                                           const KernelTable& kernels,
                                           Precision precision = Precision::kFp32);

 private:
  ShardCuts cuts_;
  std::vector<Phase> phases_;
};

}  // namespace cllm
