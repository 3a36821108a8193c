#include "model/shard_ops.h"

namespace cllm {

ShardOps::ShardOps(const ShardCuts& cuts, const ShardData& data, const WorkerContext& worker,
                   const Phase& phase)
    : p(cuts),
      d(data),
      w(*data.workspace),
      k(*worker.kernels),
      gemm(*worker.gemm),
      scratch(worker.scratch),
      group(phase),
      l(phase.layer),
      R(cuts.shape.rows()),
      C(cuts.config.width),
      a(w.layers[static_cast<std::size_t>(l)]),
      o(cuts.layout->layer(l)) {}

void ShardOps::run(std::int64_t tile) const {
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
      product_backward(tile, p.hidden_back, w.dhidden, 4 * C, o.fc_weight, w.dnorm);
      if (p.whole_rows) norm2_backward(tile);
      return;
    case Op::kNorm2Backward:
      return norm2_backward(tile);
    case Op::kProjectionBackward:
      return product_backward(tile, p.projection_back, w.dmiddle, C, o.proj_weight, w.dnorm);
    case Op::kAttentionBackward:
      return attention_backward(tile);
    case Op::kQkvBackward:
      product_backward(tile, p.qkv_back, w.dqkv, 3 * C, o.qkv_weight, w.dnorm);
      if (p.whole_rows) norm1_backward(tile);
      return;
    case Op::kNorm1Backward:
      return norm1_backward(tile);
    case Op::kEmbedBackward:
      return embed_backward(tile);
    case Op::kOutputWeight:
      return weight_gradient(tile, p.output_weight, w.gelu, dx_above(), o.out_weight);
    case Op::kHiddenWeight:
      return weight_gradient(tile, p.hidden_weight, w.normed2, w.dhidden, o.fc_weight);
    case Op::kProjectionWeight:
      return weight_gradient(tile, p.projection_weight, a.attended, w.dmiddle, o.proj_weight);
    case Op::kQkvWeight:
      return weight_gradient(tile, p.qkv_weight, w.normed1, w.dqkv, o.qkv_weight);
    case Op::kFinalVectors:
    case Op::kHiddenVectors:
    case Op::kMiddleVectors:
    case Op::kQkvVectors:
    case Op::kInputVectors:
      return vectors();
  }
}

void ShardOps::sum_groups(std::int64_t groups, std::int64_t columns, const float* partial,
                          std::int64_t offset) const {
  k.column_sums(groups, columns, partial, columns, gradient(offset), d.accumulate);
}

}  // namespace cllm
