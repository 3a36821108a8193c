#include "model/shard_ops.h"

#include "model/ops_adapter.h"
#include "model/ops_attention.h"
#include "model/ops_counted.h"
#include "model/ops_dropout.h"
#include "model/ops_embed.h"
#include "model/ops_head.h"
#include "model/ops_heads.h"
#include "model/ops_hidden.h"
#include "model/ops_linear.h"
#include "model/ops_norm.h"
#include "model/ops_rows.h"

namespace cllm {

template <class T>
ShardOps<T>::ShardOps(const ShardCuts& program, const ShardData& shard, const WorkerContext& worker,
                      const Phase& running)
    : cuts(program),
      data(shard),
      workspace(*shard.workspace),
      operands(workspace.operands<T>()),
      kernels(*worker.kernels),
      stored_kernels(activation_kernels<T>(kernels)),
      gemm(*worker.gemm),
      scratch(worker.scratch),
      phase(running),
      at_layer(running.layer),
      R(program.shape.rows()),
      C(program.config.width),
      epsilon(static_cast<float>(program.config.norm_epsilon())),
      activations(workspace.layers[static_cast<std::size_t>(at_layer)]),
      layer_operands(operands.layers[static_cast<std::size_t>(at_layer)]),
      parts(program.layout->layer(at_layer)) {}

template <class T>
void ShardOps<T>::run(std::int64_t tile) const {
  switch (phase.op) {
    case Op::kEmbed:
      return embed(tile);
    case Op::kNorm1:
      return norm1(tile, at_layer);
    case Op::kNorm2:
      return norm2(tile);
    case Op::kNormFinal:
      return norm_final(tile);
    case Op::kLinear:
      return linear(tile);
    case Op::kAttention:
      return attention(tile);
    case Op::kGatherCounted:
      return gather_counted();
    case Op::kLogits:
      return logits(tile);
    case Op::kLoss:
      return loss();
    case Op::kLogitGradient:
      return logit_gradient(tile);
    case Op::kFeatureGradient:
      return feature_gradient(tile);
    case Op::kTokenWeight:
      return token_weight(tile);
    case Op::kSpreadCounted:
      return spread_counted();
    case Op::kNormFinalBackward:
      return norm_final_backward(tile);
    case Op::kNorm2Backward:
      return norm2_backward(tile);
    case Op::kNorm1Backward:
      return norm1_backward(tile);
    case Op::kLinearBackward:
      return linear_backward(tile);
    case Op::kAttentionBackward:
      return attention_backward(tile);
    case Op::kEmbedBackward:
      return embed_backward(tile);
    case Op::kLinearWeight:
      return linear_weight(tile);
    case Op::kAdapt:
      return adapt(tile);
    case Op::kAdaptBackward:
      return adapt_backward(tile);
    case Op::kDropAgain:
      return drop_again(tile);
    case Op::kAdapterA:
      return adapter_a(tile);
    case Op::kAdapterB:
      return adapter_b(tile);
    case Op::kFinalVectors:
    case Op::kHiddenVectors:
    case Op::kMiddleVectors:
    case Op::kQkvVectors:
    case Op::kInputVectors:
      return vectors();
  }
}

template <class T>
void ShardOps<T>::sum_groups(std::int64_t groups, std::int64_t columns, const float* partial,
                             std::int64_t offset) const {
  if (!cuts.layout->trains(offset)) return;
  kernels.column_sums(groups, columns, {partial, columns}, gradient(offset), data.accumulate);
}

template struct ShardOps<float>;
template struct ShardOps<Bf16>;

}  // namespace cllm
