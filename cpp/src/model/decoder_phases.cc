#include "model/decoder_phases.h"

#include <algorithm>
#include <utility>

#include "model/linear_phases.h"

namespace cllm {
namespace {

class DecoderPhases : public LinearPhases {
 public:
  DecoderPhases(const ShardCuts& cuts, Pass pass) : LinearPhases(cuts, pass) {
    forward();
    head();
    if (trains(pass)) backward();
  }

 private:
  const NetworkLayer& layer(std::int64_t l) const { return cuts_.layout->layer(l); }
  bool trains_below(std::int64_t l, LinearSite site) const {
    return cuts_.layout->trains_below(l, site);
  }

  // -- norms, which have their own tiles or run in those of a product
  Accesses norm1(std::int64_t l, Range rows) const {
    return {reads(Buffer::kX, l, rows), writes(Buffer::kNormed1, rows),
            writes(Buffer::kStats1, l, rows)};
  }
  Accesses norm2(std::int64_t l, Range rows) const {
    return {reads(Buffer::kMiddle, l, rows), writes(Buffer::kNormed2, rows),
            writes(Buffer::kStats2, l, rows)};
  }
  Accesses norm_final(Range rows) const {
    return {reads(Buffer::kX, cuts_.config.layers, rows), writes(Buffer::kFeatures, rows),
            writes(Buffer::kStatsFinal, rows)};
  }
  Accesses norm_final_backward(Range rows) const {
    const std::int64_t last = cuts_.config.layers - 1;
    return {reads(Buffer::kDnorm, rows), reads(Buffer::kX, last + 1, rows),
            reads(Buffer::kStatsFinal, rows), writes(Buffer::kDx, above(last), rows),
            writes(Buffer::kFinalSums, rows)};
  }
  Accesses norm2_backward(std::int64_t l, Range rows) const {
    return {reads(Buffer::kDnorm, rows),     reads(Buffer::kMiddle, l, rows),
            reads(Buffer::kStats2, l, rows), reads(Buffer::kDx, above(l), rows),
            writes(Buffer::kDmiddle, rows),  writes(Buffer::kNormed2, rows),
            writes(Buffer::kNorm2Sums, rows)};
  }
  Accesses norm1_backward(std::int64_t l, Range rows) const {
    return {reads(Buffer::kDnorm, rows),         reads(Buffer::kX, l, rows),
            reads(Buffer::kStats1, l, rows),     reads(Buffer::kDmiddle, rows),
            writes(Buffer::kDx, below(l), rows), writes(Buffer::kNormed1, rows),
            writes(Buffer::kNorm1Sums, rows)};
  }

  void forward() {
    const std::int64_t layers = cuts_.config.layers;
    pass(Op::kEmbed, 0,
         [&](Range rows) { return joined({writes(Buffer::kX, 0, rows)}, norm1(0, rows)); });
    for (std::int64_t l = 0; l < layers; ++l) {
      if (l > 0 && !cuts_.whole_rows)
        pass(Op::kNorm1, l, [&](Range rows) { return norm1(l, rows); });
      inside(l);
      linear(LinearSite::kOutput, l, [&](Range rows) {
        return fused({reads(Buffer::kMiddle, l, rows), writes(Buffer::kX, l + 1, rows)},
                     l + 1 < layers ? norm1(l + 1, rows) : norm_final(rows));
      });
    }
    if (!cuts_.whole_rows) {
      pass(Op::kNormFinal, layers - 1, [&](Range rows) { return norm_final(rows); });
    }
  }

  /// Adds the phases from a layer's first norm to its activation; they run again when their results
  /// were not kept.
  void inside(std::int64_t l) {
    linear(LinearSite::kQkv, l,
           [&](Range rows) { return Accesses{writes(Buffer::kQkv, l, rows)}; });
    attention(l);
    linear(LinearSite::kProjection, l, [&](Range rows) {
      return fused({reads(Buffer::kX, l, rows), writes(Buffer::kMiddle, l, rows)}, norm2(l, rows));
    });
    if (!cuts_.whole_rows) pass(Op::kNorm2, l, [&](Range rows) { return norm2(l, rows); });
    linear(LinearSite::kHidden, l, [&](Range rows) {
      return Accesses{writes(Buffer::kActivated, l, rows), writes(Buffer::kSlope, l, rows)};
    });
  }

  /// Queries see the keys before them, so a block of queries need not wait for the rows after it.
  void attention(std::int64_t l) {
    const std::int64_t tiles = cuts_.attention_group_tiles();
    for (std::int64_t g = 0; g < cuts_.attention_groups(); ++g) {
      const AttentionGroup group = cuts_.attention_group(g);
      const Range keys = {group.sequences.begin * cuts_.shape.length, group.rows.end};
      add({Op::kAttention,
           l,
           0,
           g * tiles,
           1,
           static_cast<std::int32_t>(ceil_div(group.items, cuts_.heads_per_tile)),
           group.rows,
           {reads(Buffer::kQkv, l, keys), writes(Buffer::kAttended, l, group.rows),
            writes(Buffer::kLogSumExp, l, group.rows)}});
    }
  }

  void head() {
    const std::int64_t last =
        cuts_.config.layers - 1;  // the features' gradient becomes its gradient
    const bool some = cuts_.head_rows == HeadRows::kCounted;
    if (some) add(Op::kGatherCounted, last, 1, {writes(Buffer::kFeatures, all())});
    for (std::int64_t c = 0; c < cuts_.chunks(); ++c) {
      const Range chunk = {0, cuts_.chunk_size(c)};
      const auto in_shard = [&](Range rows) { return this->in_shard(c, rows); };
      product(
          Op::kLogits, 0, cuts_.logits(c),
          [&](Range rows) {
            return Accesses{reads(Buffer::kFeatures, in_shard(rows)),
                            writes(Buffer::kLogits, rows)};
          },
          c);
      if (!trains(pass_)) {
        add({Op::kLoss,
             0,
             c,
             0,
             1,
             1,
             all(),
             {reads(Buffer::kLogits, chunk), writes(Buffer::kRowLoss, all()),
              writes(Buffer::kLoss, all())}});
        continue;
      }
      pass(
          Op::kLogitGradient, 0, chunk.size(), cuts_.loss_rows,
          [&](Range rows) {
            return Accesses{writes(Buffer::kLogits, rows),
                            writes(Buffer::kRowLoss, in_shard(rows))};
          },
          c);
      product(
          Op::kFeatureGradient, last, cuts_.features(c),
          [&](Range rows) {
            const Accesses product{reads(Buffer::kLogits, rows),
                                   writes(Buffer::kDnorm, in_shard(rows))};
            return cuts_.features_fused() ? joined(product, norm_final_backward(rows)) : product;
          },
          c);
      if (!is_trained(cuts_.layout->network().head.weight)) continue;
      add({Op::kTokenWeight,
           0,
           c,
           0,
           1,
           cuts_.token_weight.tiles(),
           all(),
           {reads(Buffer::kLogits, chunk), reads(Buffer::kFeatures, in_shard(chunk)),
            writes(tied_ ? Buffer::kTokenGradient : Buffer::kHeadGradient, all())}});
    }
    if (some && trains(pass_)) add(Op::kSpreadCounted, last, 1, {writes(Buffer::kDnorm, all())});
  }

  // The chain of gradients that go down comes first, because everything waits for it. A weight's
  // gradient needs all rows, so its tiles come one operation after the last of these. By then the
  // rows are complete, and its tiles keep workers busy while the last rows of a small operation are
  // computed. Where adapters are trained, gradients go no further down than the lowest of them, and
  // the input of a linear map there is made again by a norm's forward pass.
  void backward() {
    const std::int64_t layers = cuts_.config.layers;
    if (!cuts_.features_fused()) {
      pass(Op::kNormFinalBackward, layers - 1,
           [&](Range rows) { return norm_final_backward(rows); });
    }
    for (std::int64_t l = layers - 1; l >= 0; --l) {
      const bool again = pass_ == Pass::kRecomputing && l + 1 < layers;
      if (again) {
        input_gradients(l + 1);  // before the next ones overwrite what it reads
        pass(Op::kNorm1, l, [&](Range rows) { return norm1(l, rows); });
        inside(l);
        adapt(LinearSite::kOutput, l);
      }
      linear_backward(LinearSite::kOutput, l, [&](Range rows) {
        return Accesses{reads(Buffer::kSlope, l, rows), writes(Buffer::kDhidden, rows),
                        writes(Buffer::kHiddenSums, rows)};
      });
      if (l + 1 == layers) {
        final_vectors(l);
      } else if (!again) {
        input_gradients(l + 1);
      }
      linear_backward(LinearSite::kHidden, l, [&](Range rows) {
        return fused({writes(Buffer::kDnorm, rows)}, norm2_backward(l, rows));
      });
      linear_weight(LinearSite::kOutput, l);
      if (is_trained(layer(l).linear(LinearSite::kHidden).bias)) {
        vectors(Op::kHiddenVectors, l, Buffer::kHiddenSums, Buffer::kHiddenVectorGradient);
      }
      if (!trains_below(l, LinearSite::kHidden)) {
        if (adapted(LinearSite::kHidden, l)) {
          pass(Op::kNorm2, l, [&](Range rows) { return norm2(l, rows); });
        }
      } else if (!cuts_.whole_rows) {
        pass(Op::kNorm2Backward, l, [&](Range rows) { return norm2_backward(l, rows); });
      }
      linear_backward(LinearSite::kProjection, l,
                      [&](Range rows) { return Accesses{writes(Buffer::kDnorm, rows)}; });
      linear_weight(LinearSite::kHidden, l);
      if (is_trained(layer(l).norm2.weight)) {
        vectors(Op::kMiddleVectors, l, Buffer::kNorm2Sums, Buffer::kMiddleVectorGradient);
      }
      if (trains_below(l, LinearSite::kProjection)) attention_backward(l);
      linear_weight(LinearSite::kProjection, l);
      linear_backward(LinearSite::kQkv, l, [&](Range rows) {
        return fused({writes(Buffer::kDnorm, rows)}, norm1_backward(l, rows));
      });
      const std::optional<Norm>& query_norm = layer(l).query_norm;
      if (is_trained(layer(l).linear(LinearSite::kQkv).bias) ||
          (query_norm && is_trained(query_norm->weight))) {
        vectors(Op::kQkvVectors, l, Buffer::kQkvSums, Buffer::kQkvVectorGradient);
      }
      if (!trains_below(l, LinearSite::kQkv)) {
        if (adapted(LinearSite::kQkv, l)) {
          pass(Op::kNorm1, l, [&](Range rows) { return norm1(l, rows); });
        }
      } else if (!cuts_.whole_rows) {
        pass(Op::kNorm1Backward, l, [&](Range rows) { return norm1_backward(l, rows); });
      }
    }
    input_gradients(0);
    if (!is_trained(cuts_.layout->token_embedding())) return;
    add(Op::kEmbedBackward, 0, cuts_.embed_tiles(),
        {reads(Buffer::kDx, below(0), all()), writes(Buffer::kTokenGradient, all())});
  }

  void attention_backward(std::int64_t l) {
    const std::int64_t heads = cuts_.config.key_value_heads(), T = cuts_.shape.length;
    for (std::int64_t s = 0; s < cuts_.shape.sequences; s += cuts_.lane_sequences()) {
      const std::int64_t end = std::min(cuts_.shape.sequences, s + cuts_.lane_sequences());
      const Range rows{s * T, end * T};
      add({Op::kAttentionBackward,
           l,
           0,
           s * heads,
           1,
           static_cast<std::int32_t>((end - s) * heads),
           rows,
           {reads(Buffer::kDnorm, rows), reads(Buffer::kQkv, l, rows),
            reads(Buffer::kAttended, l, rows), reads(Buffer::kLogSumExp, l, rows),
            writes(Buffer::kDqkv, rows), writes(Buffer::kQkvSums, rows)}});
    }
  }

  void input_gradients(std::int64_t l) {
    linear_weight(LinearSite::kQkv, l);
    if (!is_trained(layer(l).norm1.weight)) return;
    vectors(Op::kInputVectors, l, Buffer::kNorm1Sums, Buffer::kInputVectorGradient);
  }
  void final_vectors(std::int64_t l) {
    add(Op::kFinalVectors, l, 1,
        {reads(Buffer::kFinalSums, all()), reads(Buffer::kRowLoss, all()),
         writes(Buffer::kFinalVectorGradient, all()), writes(Buffer::kLoss, all())});
  }

  const bool tied_ = cuts_.layout->network().tied();
};

}  // namespace

std::vector<Phase> decoder_phases(const ShardCuts& cuts, Pass pass) {
  return DecoderPhases(cuts, pass).take();
}

}  // namespace cllm
