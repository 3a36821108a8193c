#include "model/shard_ops.h"

#include "model/ops_attention.h"
#include "model/ops_dropout.h"
#include "model/ops_embed.h"
#include "model/ops_head.h"
#include "model/ops_linear.h"
#include "model/ops_norm.h"

namespace cllm {

template <class T>
ShardOps<T>::ShardOps(const ShardCuts& cuts, const ShardData& data, const WorkerContext& worker,
                      const Phase& phase)
    : p(cuts),
      d(data),
      w(*data.workspace),
      ops(w.operands<T>()),
      k(*worker.kernels),
      ka(activation_kernels<T>(k)),
      gemm(*worker.gemm),
      scratch(worker.scratch),
      group(phase),
      l(phase.layer),
      R(cuts.shape.rows()),
      C(cuts.config.width),
      a(w.layers[static_cast<std::size_t>(l)]),
      own(ops.layers[static_cast<std::size_t>(l)]),
      o(cuts.layout->layer(l)) {}

template <class T>
void ShardOps<T>::run(std::int64_t tile) const {
  switch (group.op) {
    case Op::kEmbed:
      return embed(tile);
    case Op::kNorm1:
      return norm1(tile, l);
    case Op::kQkv:
      return qkv(tile);
    case Op::kAttention:
      return attention(tile);
    case Op::kProjection:
      return projection(tile);
    case Op::kNorm2:
      return norm2(tile);
    case Op::kHidden:
      return hidden(tile);
    case Op::kOutput:
      return output(tile);
    case Op::kNormFinal:
      return norm_final(tile);
    case Op::kLogits:
      return logits(tile);
    case Op::kLoss:
      return loss();
    case Op::kTokenWeight:
      return token_weight(tile);
    case Op::kLogitGradient:
      return logit_gradient(tile);
    case Op::kFeatureGradient:
      return feature_gradient(tile);
    case Op::kNormFinalBackward:
      return norm_final_backward(tile);
    case Op::kOutputBackward:
      return output_backward(tile);
    case Op::kHiddenBackward:
      norm_gradient(tile, p.hidden_back, ops.dhidden, 4 * C, o.fc_weight);
      if (p.whole_rows) norm2_backward(tile);
      return;
    case Op::kNorm2Backward:
      return norm2_backward(tile);
    case Op::kProjectionBackward:
      return projection_backward(tile);
    case Op::kAttentionBackward:
      return attention_backward(tile);
    case Op::kQkvBackward:
      norm_gradient(tile, p.qkv_back, ops.dqkv, 3 * C, o.qkv_weight);
      if (p.whole_rows) norm1_backward(tile);
      return;
    case Op::kNorm1Backward:
      return norm1_backward(tile);
    case Op::kEmbedBackward:
      return embed_backward(tile);
    case Op::kOutputWeight:
      return weight_gradient(tile, p.output_weight, own.gelu, dx_operand(), o.out_weight);
    case Op::kHiddenWeight:
      return weight_gradient(tile, p.hidden_weight, ops.normed2, ops.dhidden, o.fc_weight);
    case Op::kProjectionWeight:
      return weight_gradient(tile, p.projection_weight, own.attended, ops.dmiddle, o.proj_weight);
    case Op::kQkvWeight:
      return weight_gradient(tile, p.qkv_weight, ops.normed1, ops.dqkv, o.qkv_weight);
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
  k.column_sums(groups, columns, partial, columns, gradient(offset), d.accumulate);
}

template struct ShardOps<float>;
template struct ShardOps<Bf16>;

}  // namespace cllm
