#include "model/shard_program.h"

#include "model/decoder_phases.h"
#include "model/shard_ops.h"

namespace cllm {

ShardProgram::ShardProgram(const ModelConfig& config, const ParameterLayout& layout,
                           const ShardShape& shape, Pass pass, WeightLayout weights, HeadRows head)
    : cuts_(config, layout, shape, weights, head), phases_(decoder_phases(cuts_, pass)) {}

std::int64_t ShardProgram::tiles() const noexcept {
  std::int64_t tiles = 0;
  for (const Phase& phase : phases_) tiles += phase.tiles;
  return tiles;
}

void ShardProgram::run(std::size_t phase, std::int32_t tile, const ShardData& data,
                       const WorkerContext& worker) const {
  const Phase& p = phases_[phase];
  if (data.workspace->precision() == Precision::kBf16) {
    ShardOps<Bf16>(cuts_, data, worker, p).run(p.tile(tile));
  } else {
    ShardOps<float>(cuts_, data, worker, p).run(p.tile(tile));
  }
}

std::size_t ShardProgram::worker_scratch_floats(const ParameterLayout& layout,
                                                const ShardShape& largest,
                                                const KernelTable& kernels, Precision precision) {
  const ModelConfig& config = layout.config();
  const bool bf16 = precision == Precision::kBf16;
  const auto attention =
      bf16 ? kernels.bf16.attention_scratch_floats : kernels.attention_scratch_floats;
  const std::int64_t rows = largest.rows(), D = config.head_width();
  // What is stored as Bf16 leaves a product as floats; gate and what it multiplies always do.
  std::int64_t tile = bf16 ? most_product_tile(rows) : 0;
  // What an adapter adds after dropout is made beside what it is added to.
  if (config.is_gated() || layout.adapter_dropout() > 0) tile = 2 * most_product_tile(rows);
  if (bf16 && !config.is_gpt2()) {
    tile = std::max(tile, most_tile_of_heads(rows, config.qkv_width(), D));
  }
  tile = std::max(tile, config.width);  // a row of an embedding
  return std::max(attention(largest.length, D, config.head_group()),
                  static_cast<std::size_t>(tile));
}

}  // namespace cllm
