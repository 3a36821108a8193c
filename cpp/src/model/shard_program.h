// Forward and backward of one shard as a list of phases of tiles: what a position runs.
//
// Phases run one after another; the tiles of a phase are independent of each other and may run at
// the same time in any order. Every floating-point sum has an order given by data indices, so the
// results are the same for every way of running the tiles.
#pragma once

#include <vector>

#include "gemm/gemm.h"
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
};

/// What a worker brings along; one per thread, passed by reference.
struct WorkerContext {
  const KernelTable* kernels;
  Gemm* gemm;
  float* scratch;  ///< worker_scratch_floats floats of its own
};

enum class Op : std::uint8_t {
  kEmbed,
  kNorm1,
  kQkv,
  kAttention,
  kProjection,
  kNorm2,
  kHidden,
  kOutput,
  kNormFinal,  // forward
  kLogits,
  kLoss,
  kLogitGradient,
  kFeatureGradient,  // head
  kNormFinalBackward,
  kOutputBackward,
  kHiddenBackward,
  kNorm2Backward,
  kProjectionBackward,
  kAttentionBackward,
  kQkvBackward,
  kNorm1Backward,
  kEmbedBackward,  // inputs
  kTokenWeight,
  kOutputWeight,
  kHiddenWeight,
  kProjectionWeight,
  kQkvWeight,  // weights
  kFinalVectors,
  kHiddenVectors,
  kMiddleVectors,
  kQkvVectors,
  kInputVectors,  // vectors
};

/// Tiles of one operation inside a phase.
struct TileGroup {
  Op op;
  std::int64_t layer;
  std::int64_t chunk;  ///< of rows, in the head
  std::int64_t tiles;
};

struct Phase {
  std::vector<TileGroup> groups;
  std::int32_t tiles() const noexcept {
    std::int64_t n = 0;
    for (const TileGroup& g : groups) n += g.tiles;
    return static_cast<std::int32_t>(n);
  }
};

/// Immutable after construction.
class ShardProgram {
 public:
  ShardProgram(const ModelConfig& config, const ParameterLayout& layout, const ShardShape& shape,
               bool training);

  const ShardCuts& cuts() const noexcept { return cuts_; }
  const std::vector<Phase>& phases() const noexcept { return phases_; }
  void run(std::size_t phase, std::int64_t tile, const ShardData& data,
           const WorkerContext& worker) const;

  static std::size_t worker_scratch_floats(const ModelConfig& config, const ShardShape& largest,
                                           const KernelTable& kernels);

 private:
  void add_forward();
  void add_head(bool training);
  void add_backward();
  void add(std::vector<TileGroup> groups) { phases_.push_back({std::move(groups)}); }

  ShardCuts cuts_;
  std::vector<Phase> phases_;
};

}  // namespace cllm
