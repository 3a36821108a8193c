#include "model/shard_cuts.h"

namespace cllm {
namespace {

constexpr std::int64_t kEmbedColumns = 32;  // two cache lines: tiles never write to the same one

}  // namespace

ShardCuts::ShardCuts(const ModelConfig& model, const ParameterLayout& tensors,
                     const ShardShape& shard, WeightLayout how)
    : config(model), layout(&tensors), shape(shard), weights(how) {
  const std::int64_t R = shape.rows(), C = config.width, F = config.hidden();
  qkv = product(R, 3 * C);
  projection = product(R, C);
  hidden = product(R, F);
  output = product(R, C);
  output_back = product(R, F);
  hidden_back = product(R, C);
  projection_back = product(R, C);
  qkv_back = product(R, C);
  qkv_weight = weight_gradient_grid(C, 3 * C);
  projection_weight = weight_gradient_grid(C, C);
  hidden_weight = weight_gradient_grid(C, F);
  output_weight = weight_gradient_grid(F, C);
  token_weight = weight_gradient_grid(config.vocabulary, C);
  whole_rows = projection.column_tiles() == 1;
  pass_rows = whole_rows ? projection.tile_rows : cllm::pass_rows(R, C);
  embed_columns = std::min(C, kEmbedColumns);
  query_rows = cllm::query_rows(shape.length);
  heads_per_tile = std::min(lane_sequences() * config.heads,
                            cllm::heads_per_tile(query_rows, shape.length, config.head_width(),
                                                 heads() * query_blocks()));
  chunk_rows = logit_rows(R, config.vocabulary);
  loss_rows = cllm::loss_rows(chunk_rows, config.vocabulary);
}

}  // namespace cllm
