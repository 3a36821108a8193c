#include "model/shard_program.h"

#include "model/shard_ops.h"
#include "model/shard_phases.h"

namespace cllm {

ShardProgram::ShardProgram(const ModelConfig& config, const ParameterLayout& layout,
                           const ShardShape& shape, bool training)
    : cuts_(config, layout, shape), phases_(list_phases(cuts_, training)) {}

void ShardProgram::run(std::size_t phase, std::int32_t tile, const ShardData& data,
                       const WorkerContext& worker) const {
  const Phase& p = phases_[phase];
  ShardOps(cuts_, data, worker, p).run(p.tile(tile));
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
