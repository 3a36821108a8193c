#include "model/shard_cuts.h"

#include <stdexcept>

namespace cllm {
namespace {

constexpr std::int64_t kEmbedColumns = 32;  // two cache lines: tiles never write to the same one

}  // namespace

ShardCuts::ShardCuts(const ModelConfig& model, const ParameterLayout& tensors,
                     const ShardShape& shard, WeightLayout how)
    : config(model), layout(&tensors), shape(shard), weights(how) {
  const std::int64_t R = shape.rows(), C = config.width;
  // All layers of a model are cut in the same way.
  for (std::size_t i = 0; i < kLinearSites; ++i) {
    const Linear& linear = tensors.layer(0).linears[i];
    if (linear.epilogue == Epilogue::kNone) {
      throw std::logic_error("a layer's linear map has no epilogue: none of the operations is it");
    }
    linears[i] = {product(R, linear.outputs), product(R, linear.inputs),
                  weight_gradient_grid(linear.rows(), linear.columns())};
  }
  const Linear& head = tensors.network().head;
  token_weight = weight_gradient_grid(head.rows(), head.columns());
  const Grid& projection = linear(LinearSite::kProjection).forward;
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
