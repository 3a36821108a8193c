#include "model/shard_cuts.h"

#include <stdexcept>

#include "model/rotary_table.h"

namespace cllm {
namespace {

constexpr std::int64_t kEmbedColumns = 32;  // two cache lines: tiles never write to the same one

}  // namespace

ShardCuts::ShardCuts(const ModelConfig& model, const ParameterLayout& tensors,
                     const ShardShape& shard, WeightLayout how, HeadRows head)
    : config(model), layout(&tensors), shape(shard), weights(how), head_rows(head) {
  const std::int64_t R = shape.rows(), C = config.width;
  // All layers of a model are cut in the same way.
  for (std::size_t i = 0; i < kLinearSites; ++i) {
    const Linear& linear = tensors.layer(0).linears[i];
    if (linear.epilogue == Epilogue::kNone) {
      throw std::logic_error("a layer's linear map has no epilogue: none of the operations is it");
    }
    linears[i] = {product(R, linear.outputs / linear.parts()), product(R, linear.inputs),
                  weight_gradient_grid(linear.rows(), linear.columns())};
    if (linear.epilogue == Epilogue::kHeads) {
      linears[i].forward = grid_of_heads(linears[i].forward, config.head_width());
    }
    if (linear.adapter.exists()) cut_adapter(linear, linears[i]);
  }
  const Linear& words = tensors.network().head;
  token_weight = weight_gradient_grid(words.rows(), words.columns());
  const Grid& projection = linear(LinearSite::kProjection).forward;
  whole_rows = projection.column_tiles() == 1;
  pass_rows = whole_rows ? projection.tile_rows : cllm::pass_rows(R, C);
  embed_columns = std::min(C, kEmbedColumns);
  query_rows = cllm::query_rows(shape.length);
  const std::int64_t key_heads = config.key_value_heads();
  heads_per_tile =
      std::min(lane_sequences() * key_heads,
               cllm::heads_per_tile(query_rows, shape.length, config.query_width() / key_heads,
                                    shape.sequences * key_heads * query_blocks()));
  chunk_rows = logit_rows(R, config.vocabulary);
  loss_rows = cllm::loss_rows(chunk_rows, config.vocabulary);
  zeros.resize(static_cast<std::size_t>(std::max({C, config.qkv_width(), kProductColumns})));
  if (tensors.network().position_embedding) return;
  turns.resize(static_cast<std::size_t>(shape.length * config.head_width()));
  fill_rotary_table(rotary_frequencies(config), 0, shape.length, turns.data());
}

void ShardCuts::cut_adapter(const Linear& linear, LinearCuts& cuts) const {
  const Adapter& adapter = linear.adapter;
  const std::int64_t rows = cuts.forward.tile_rows;
  cuts.adapted = {shape.rows(), adapter.width(), rows, adapter.width()};
  cuts.adapted_parts = {shape.rows(), adapter.width(), rows, adapter.rank};
  cuts.adapter_a = weight_gradient_grid(adapter.width(), linear.inputs);
  for (const AdapterPart& part : adapter.parts) {
    cuts.b.push_back(weight_gradient_grid(part.outputs, adapter.rank));
  }
}

}  // namespace cllm
