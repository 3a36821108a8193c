// A ShardProgram is forward and backward of one shard as a list of phases; a position runs it.
//
// A phase is one operation on one range of rows. One thread may run the phases one after another;
// several threads must follow the order that PhaseOrder derives from their accesses, so that rows
// which have passed one operation enter the next while others are still in it. The tiles of a phase
// are independent of each other. Every floating-point sum has an order given by data indices, so
// the results are the same in whatever order the tiles run.
#pragma once

#include <vector>

#include "base/token_rows.h"
#include "gemm/gemm.h"
#include "model/dropout.h"
#include "model/packed_weights.h"
#include "model/pass.h"
#include "model/phase_order.h"
#include "model/shard_cuts.h"

namespace cllm {

/// Says what one shard reads and writes.
struct ShardData {
  const float* parameters;  ///< flat range of the layout
  float* gradient;          ///< flat range of the trainables; training only
  Workspace* workspace;
  TokenRows rows;    ///< [R]
  bool accumulate;   ///< false: the gradient is overwritten (first shard of a position)
  float loss_scale;  ///< 1 / counted targets of the step batch: scales the gradient, not the loss
  double* loss;      ///< receives the sum of the rows' losses, rows in order
  float* all_logits = nullptr;            ///< [R, V'] receives every row's logits (evaluation only)
  const PackedWeights* packed = nullptr;  ///< of these parameters, in the workspace's precision
  /// Dropout rates draw from it in training; null: nothing is dropped.
  const DropoutSource* dropout = nullptr;
  std::int64_t first_sequence = 0;  ///< of the shard in the step batch
  const float* adapters = nullptr;  ///< flat range of the trainables, if they are adapters
  /// The frozen matrices that are kept as Bf16, at their offsets: in place of those in
  /// `parameters`.
  const Bf16* matrices = nullptr;
};

/// Holds what a worker computes with; there is one for each thread, passed by reference.
struct WorkerContext {
  const KernelTable* kernels;
  Gemm* gemm;
  float* scratch;  ///< its own worker_scratch_floats() floats
};

enum class Op : std::uint8_t {
  // Forward.
  kEmbed,
  kNorm1,
  kNorm2,
  kNormFinal,
  kAdapt,  // for the linear map that comes next
  kLinear,
  kAttention,
  // Head.
  kGatherCounted,
  kLogits,
  kLoss,
  kLogitGradient,
  kFeatureGradient,
  kTokenWeight,
  kSpreadCounted,
  // Gradients of what rows carry.
  kNormFinalBackward,
  kNorm2Backward,
  kNorm1Backward,
  kAdaptBackward,
  kLinearBackward,
  kAttentionBackward,
  kEmbedBackward,
  // Gradients of weights, of adapters, and of biases and norms.
  kLinearWeight,
  kDropAgain,  // what adapters read
  kAdapterA,
  kAdapterB,
  kFinalVectors,
  kHiddenVectors,
  kMiddleVectors,
  kQkvVectors,
  kInputVectors,
};

/// Describes tiles of one operation that read and write the same rows.
struct Phase {
  Op op;
  std::int64_t layer;
  std::int64_t chunk;  ///< of rows, in the head
  // These are the operation's tiles first, first + step, ...
  std::int64_t first;
  std::int64_t step;
  std::int32_t tiles;
  Range rows;  ///< of the shard; all of them if its tiles are not cut by rows
  std::vector<Access> accesses;
  LinearSite site = {};  ///< for operations of a linear map

  std::int64_t tile(std::int32_t index) const noexcept { return first + index * step; }
};

/// Holds the phases. It is immutable after construction.
class ShardProgram {
 public:
  ShardProgram(const ModelConfig& config, const ParameterLayout& layout, const ShardShape& shape,
               Pass pass, WeightLayout weights, HeadRows head = HeadRows::kAll);

  const ShardCuts& cuts() const noexcept { return cuts_; }
  const std::vector<Phase>& phases() const noexcept { return phases_; }
  /// Returns the tiles of all phases.
  std::int64_t tiles() const noexcept;
  /// Runs one tile of a phase, 0 <= tile < tiles.
  void run(std::size_t phase, std::int32_t tile, const ShardData& data,
           const WorkerContext& worker) const;

  static std::size_t worker_scratch_floats(const ParameterLayout& layout, const ShardShape& largest,
                                           const KernelTable& kernels,
                                           Precision precision = Precision::kFp32);

 private:
  ShardCuts cuts_;
  std::vector<Phase> phases_;
};

}  // namespace cllm
