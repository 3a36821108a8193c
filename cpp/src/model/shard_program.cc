#include "model/shard_program.h"

#include "model/shard_ops.h"

namespace cllm {

ShardProgram::ShardProgram(const ModelConfig& config, const ParameterLayout& layout,
                           const ShardShape& shape, bool training)
    : cuts_(config, layout, shape) {
  add_forward();
  add_head(training);
  if (training) add_backward();
}

void ShardProgram::add_forward() {
  const std::int64_t rows = cuts_.pass_tiles(), layers = cuts_.config.layers;
  add({{Op::kEmbed, 0, 0, rows}});
  for (std::int64_t l = 0; l < layers; ++l) {
    if (l > 0 && !cuts_.whole_rows) add({{Op::kNorm1, l, 0, rows}});
    add({{Op::kQkv, l, 0, cuts_.qkv.tiles()}});
    add({{Op::kAttention, l, 0, cuts_.attention_tiles()}});
    add({{Op::kProjection, l, 0, cuts_.projection.tiles()}});
    if (!cuts_.whole_rows) add({{Op::kNorm2, l, 0, rows}});
    add({{Op::kHidden, l, 0, cuts_.hidden.tiles()}});
    add({{Op::kOutput, l, 0, cuts_.output.tiles()}});
  }
  if (!cuts_.whole_rows) add({{Op::kNormFinal, layers - 1, 0, rows}});
}

void ShardProgram::add_head(bool training) {
  const std::int64_t last = cuts_.config.layers - 1;  // whose gradient the features' becomes
  for (std::int64_t c = 0; c < cuts_.chunks(); ++c) {
    add({{Op::kLogits, 0, c, cuts_.logits(c).tiles()}});
    if (training) {
      add({{Op::kLogitGradient, 0, c, cuts_.loss_tiles(c)}});
      add({{Op::kTokenWeight, 0, c, cuts_.token_weight.tiles()},
           {Op::kFeatureGradient, last, c, cuts_.features(c).tiles()}});
    } else {
      add({{Op::kLoss, 0, c, 1}});
    }
  }
}

// A weight's gradient needs only what earlier phases left, so its tiles fill up the phase after
// the one that made its operands: a team then has something to do while the last tiles of a small
// phase run, and no phase is needed for weights alone. They come first, being the longest: what is
// left at the end of a phase is short, and nobody waits long.
void ShardProgram::add_backward() {
  const std::int64_t rows = cuts_.pass_tiles(), layers = cuts_.config.layers;
  if (!cuts_.features_fused()) add({{Op::kNormFinalBackward, layers - 1, 0, rows}});
  for (std::int64_t l = layers - 1; l >= 0; --l) {
    if (l == layers - 1) {
      add({{Op::kOutputBackward, l, 0, cuts_.output_back.tiles()}, {Op::kFinalVectors, l, 0, 1}});
    } else {
      add({{Op::kQkvWeight, l + 1, 0, cuts_.qkv_weight.tiles()},
           {Op::kOutputBackward, l, 0, cuts_.output_back.tiles()},
           {Op::kInputVectors, l + 1, 0, 1}});
    }
    add({{Op::kOutputWeight, l, 0, cuts_.output_weight.tiles()},
         {Op::kHiddenBackward, l, 0, cuts_.hidden_back.tiles()},
         {Op::kHiddenVectors, l, 0, 1}});
    if (!cuts_.whole_rows) add({{Op::kNorm2Backward, l, 0, rows}});
    add({{Op::kHiddenWeight, l, 0, cuts_.hidden_weight.tiles()},
         {Op::kProjectionBackward, l, 0, cuts_.projection_back.tiles()},
         {Op::kMiddleVectors, l, 0, 1}});
    add({{Op::kProjectionWeight, l, 0, cuts_.projection_weight.tiles()},
         {Op::kAttentionBackward, l, 0, cuts_.heads()}});
    add({{Op::kQkvBackward, l, 0, cuts_.qkv_back.tiles()}, {Op::kQkvVectors, l, 0, 1}});
    if (!cuts_.whole_rows) add({{Op::kNorm1Backward, l, 0, rows}});
  }
  add({{Op::kQkvWeight, 0, 0, cuts_.qkv_weight.tiles()},
       {Op::kEmbedBackward, 0, 0, cuts_.embed_tiles()},
       {Op::kInputVectors, 0, 0, 1}});
}

void ShardProgram::run(std::size_t phase, std::int64_t tile, const ShardData& data,
                       const WorkerContext& worker) const {
  for (const TileGroup& group : phases_[phase].groups) {
    if (tile < group.tiles) {
      ShardOps(cuts_, data, worker, group).run(tile);
      return;
    }
    tile -= group.tiles;
  }
}

std::size_t ShardProgram::worker_scratch_floats(const ModelConfig& config,
                                                const ShardShape& largest,
                                                const KernelTable& kernels) {
  const std::size_t attention =
      kernels.attention_scratch_floats(largest.length, config.head_width());
  const auto head = static_cast<std::size_t>(most_logit_rows(largest.rows(), config.vocabulary));
  return std::max(attention, head);
}

}  // namespace cllm
