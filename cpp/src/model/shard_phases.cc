#include "model/shard_phases.h"

namespace cllm {
namespace {

/// These numbers name memory that phases share. Each of the first group exists once a layer.
enum class Buffer : std::int32_t {
  kX,
  kStats1,
  kQkv,
  kLogSumExp,
  kAttended,
  kMiddle,
  kStats2,
  kGelu,
  kSlope,
  kOutputGradient,  // of the layer's weights and vectors, one for each operation that writes them
  kHiddenGradient,
  kProjectionGradient,
  kQkvGradient,
  kHiddenVectorGradient,
  kMiddleVectorGradient,
  kQkvVectorGradient,
  kInputVectorGradient,
  kStatsFinal,
  kNormed1,
  kNormed2,
  kFeatures,
  kLogits,  // of a chunk, with the blocks' maxima and sums
  kRowLoss,
  kLoss,
  kDx,  // two in turn: layer l reads number l % 2 and writes the other
  kDmiddle,
  kDnorm,
  kDhidden,
  kDqkv,
  kHiddenSums,
  kQkvSums,
  kNorm1Sums,
  kNorm2Sums,
  kFinalSums,
  kTokenGradient,
  kFinalVectorGradient,
};

class PhaseList {
 public:
  PhaseList(const ShardCuts& cuts, Pass pass) : p_(cuts), pass_(pass) {}

  std::vector<Phase> list() {
    forward();
    head();
    if (trains(pass_)) backward();
    return std::move(phases_);
  }

 private:
  using Accesses = std::vector<Access>;

  // -- what a phase reads and writes
  Access access(Buffer buffer, std::int64_t layer, Range rows, bool writes) const {
    const bool kept = buffer == Buffer::kX ? trains(pass_) : !shares_layers(pass_);
    const std::int64_t at = buffer <= Buffer::kSlope && !kept ? 0 : layer;
    const std::int64_t number = static_cast<std::int64_t>(buffer) * (p_.config.layers + 2) + at;
    return {static_cast<std::int32_t>(number), rows, writes};
  }
  Access reads(Buffer buffer, std::int64_t layer, Range rows) const {
    return access(buffer, layer, rows, false);
  }
  Access writes(Buffer buffer, std::int64_t layer, Range rows) const {
    return access(buffer, layer, rows, true);
  }
  Access reads(Buffer buffer, Range rows) const { return access(buffer, 0, rows, false); }
  Access writes(Buffer buffer, Range rows) const { return access(buffer, 0, rows, true); }
  Range all() const { return {0, p_.shape.rows()}; }
  Range in_shard(std::int64_t chunk, Range rows) const {
    const std::int64_t first = chunk * p_.chunk_rows;
    return {first + rows.begin, first + rows.end};
  }
  static std::int64_t above(std::int64_t layer) { return layer % 2; }
  static std::int64_t below(std::int64_t layer) { return (layer + 1) % 2; }

  // -- phases of an operation
  void add(Op op, std::int64_t layer, std::int64_t tiles, Accesses accesses) {
    phases_.push_back(
        {op, layer, 0, 0, 1, static_cast<std::int32_t>(tiles), all(), std::move(accesses)});
  }

  /// Adds one phase for the tiles of each row of `grid`; `accesses` gives those of its rows.
  template <class AccessesOf>
  void product(Op op, std::int64_t layer, const Grid& grid, AccessesOf accesses,
               std::int64_t chunk = 0, LinearSite site = {}) {
    for (std::int64_t r = 0; r < grid.row_tiles(); ++r) {
      const Range range = grid.row_range(r);
      phases_.push_back({op, layer, chunk, r, grid.row_tiles(),
                         static_cast<std::int32_t>(grid.column_tiles()), in_shard(chunk, range),
                         accesses(range), site});
    }
  }

  template <class AccessesOf>
  void linear(LinearSite site, std::int64_t layer, AccessesOf accesses) {
    product(Op::kLinear, layer, p_.linear(site).forward, accesses, 0, site);
  }
  template <class AccessesOf>
  void linear_backward(LinearSite site, std::int64_t layer, AccessesOf accesses) {
    product(Op::kLinearBackward, layer, p_.linear(site).backward, accesses, 0, site);
  }

  /// Adds tiles of `tile_rows` of `rows` rows. A phase has as many of them as fit into the rows of
  /// a product's tile.
  template <class AccessesOf>
  void pass(Op op, std::int64_t layer, std::int64_t rows, std::int64_t tile_rows,
            AccessesOf accesses, std::int64_t chunk = 0) {
    const std::int64_t tiles = ceil_div(rows, tile_rows);
    const std::int64_t some = std::max<std::int64_t>(1, p_.lane_rows() / tile_rows);
    for (std::int64_t first = 0; first < tiles; first += some) {
      const std::int64_t count = std::min(some, tiles - first);
      const Range range{first * tile_rows, std::min(rows, (first + count) * tile_rows)};
      phases_.push_back({op, layer, chunk, first, 1, static_cast<std::int32_t>(count),
                         in_shard(chunk, range), accesses(range)});
    }
  }
  template <class AccessesOf>
  void pass(Op op, std::int64_t layer, AccessesOf accesses) {
    pass(op, layer, p_.shape.rows(), p_.pass_rows, accesses);
  }

  static Accesses joined(Accesses a, const Accesses& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
  Accesses fused(Accesses a, const Accesses& pass) const {
    return p_.whole_rows ? joined(std::move(a), pass) : a;
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
    return {reads(Buffer::kX, p_.config.layers, rows), writes(Buffer::kFeatures, rows),
            writes(Buffer::kStatsFinal, rows)};
  }
  Accesses norm_final_backward(Range rows) const {
    const std::int64_t last = p_.config.layers - 1;
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
    const std::int64_t layers = p_.config.layers;
    pass(Op::kEmbed, 0,
         [&](Range rows) { return joined({writes(Buffer::kX, 0, rows)}, norm1(0, rows)); });
    for (std::int64_t l = 0; l < layers; ++l) {
      if (l > 0 && !p_.whole_rows) pass(Op::kNorm1, l, [&](Range rows) { return norm1(l, rows); });
      inside(l);
      linear(LinearSite::kOutput, l, [&](Range rows) {
        return fused({reads(Buffer::kGelu, l, rows), reads(Buffer::kMiddle, l, rows),
                      writes(Buffer::kX, l + 1, rows)},
                     l + 1 < layers ? norm1(l + 1, rows) : norm_final(rows));
      });
    }
    if (!p_.whole_rows) {
      pass(Op::kNormFinal, layers - 1, [&](Range rows) { return norm_final(rows); });
    }
  }

  /// Adds the phases from a layer's first norm to its GELU; they run again when their results were
  /// not kept.
  void inside(std::int64_t l) {
    linear(LinearSite::kQkv, l, [&](Range rows) {
      return Accesses{reads(Buffer::kNormed1, rows), writes(Buffer::kQkv, l, rows)};
    });
    attention(l);
    linear(LinearSite::kProjection, l, [&](Range rows) {
      return fused({reads(Buffer::kAttended, l, rows), reads(Buffer::kX, l, rows),
                    writes(Buffer::kMiddle, l, rows)},
                   norm2(l, rows));
    });
    if (!p_.whole_rows) pass(Op::kNorm2, l, [&](Range rows) { return norm2(l, rows); });
    linear(LinearSite::kHidden, l, [&](Range rows) {
      return Accesses{reads(Buffer::kNormed2, rows), writes(Buffer::kGelu, l, rows),
                      writes(Buffer::kSlope, l, rows)};
    });
  }

  /// Queries see the keys before them, so a block of queries need not wait for the rows after it.
  void attention(std::int64_t l) {
    const std::int64_t tiles = p_.attention_group_tiles();
    for (std::int64_t g = 0; g < p_.attention_groups(); ++g) {
      const AttentionGroup group = p_.attention_group(g);
      const Range keys = {group.sequences.begin * p_.shape.length, group.rows.end};
      phases_.push_back({Op::kAttention,
                         l,
                         0,
                         g * tiles,
                         1,
                         static_cast<std::int32_t>(ceil_div(group.items, p_.heads_per_tile)),
                         group.rows,
                         {reads(Buffer::kQkv, l, keys), writes(Buffer::kAttended, l, group.rows),
                          writes(Buffer::kLogSumExp, l, group.rows)}});
    }
  }

  void head() {
    const std::int64_t last = p_.config.layers - 1;  // the features' gradient becomes its gradient
    for (std::int64_t c = 0; c < p_.chunks(); ++c) {
      const Range chunk = {0, p_.chunk_size(c)};
      const auto in_shard = [&](Range rows) { return this->in_shard(c, rows); };
      product(
          Op::kLogits, 0, p_.logits(c),
          [&](Range rows) {
            return Accesses{reads(Buffer::kFeatures, in_shard(rows)),
                            writes(Buffer::kLogits, rows)};
          },
          c);
      if (!trains(pass_)) {
        phases_.push_back({Op::kLoss,
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
          Op::kLogitGradient, 0, chunk.size(), p_.loss_rows,
          [&](Range rows) {
            return Accesses{writes(Buffer::kLogits, rows),
                            writes(Buffer::kRowLoss, in_shard(rows))};
          },
          c);
      product(
          Op::kFeatureGradient, last, p_.features(c),
          [&](Range rows) {
            const Accesses product{reads(Buffer::kLogits, rows),
                                   writes(Buffer::kDnorm, in_shard(rows))};
            return p_.features_fused() ? joined(product, norm_final_backward(rows)) : product;
          },
          c);
      phases_.push_back({Op::kTokenWeight,
                         0,
                         c,
                         0,
                         1,
                         p_.token_weight.tiles(),
                         all(),
                         {reads(Buffer::kLogits, chunk), reads(Buffer::kFeatures, in_shard(chunk)),
                          writes(Buffer::kTokenGradient, all())}});
    }
  }

  // The chain of gradients that go down comes first, because everything waits for it. A weight's
  // gradient needs all rows, so its tiles come one operation after the last of these. By then the
  // rows are complete, and its tiles keep workers busy while the last rows of a small operation are
  // computed.
  void backward() {
    const std::int64_t layers = p_.config.layers;
    if (!p_.features_fused()) {
      pass(Op::kNormFinalBackward, layers - 1,
           [&](Range rows) { return norm_final_backward(rows); });
    }
    for (std::int64_t l = layers - 1; l >= 0; --l) {
      const bool again = pass_ == Pass::kRecomputing && l + 1 < layers;
      if (again) {
        input_gradients(l + 1);  // before the next ones overwrite what it reads
        pass(Op::kNorm1, l, [&](Range rows) { return norm1(l, rows); });
        inside(l);
      }
      linear_backward(LinearSite::kOutput, l, [&](Range rows) {
        return Accesses{reads(Buffer::kDx, above(l), rows), reads(Buffer::kSlope, l, rows),
                        writes(Buffer::kDhidden, rows), writes(Buffer::kHiddenSums, rows)};
      });
      if (l + 1 == layers) {
        final_vectors(l);
      } else if (!again) {
        input_gradients(l + 1);
      }
      linear_backward(LinearSite::kHidden, l, [&](Range rows) {
        return fused({reads(Buffer::kDhidden, rows), writes(Buffer::kDnorm, rows)},
                     norm2_backward(l, rows));
      });
      linear_weight(LinearSite::kOutput, l, Buffer::kOutputGradient,
                    {reads(Buffer::kGelu, l, all()), reads(Buffer::kDx, above(l), all())});
      vectors(Op::kHiddenVectors, l, Buffer::kHiddenSums, Buffer::kHiddenVectorGradient);
      if (!p_.whole_rows) {
        pass(Op::kNorm2Backward, l, [&](Range rows) { return norm2_backward(l, rows); });
      }
      linear_backward(LinearSite::kProjection, l, [&](Range rows) {
        return Accesses{reads(Buffer::kDmiddle, rows), writes(Buffer::kDnorm, rows)};
      });
      linear_weight(LinearSite::kHidden, l, Buffer::kHiddenGradient,
                    {reads(Buffer::kNormed2, all()), reads(Buffer::kDhidden, all())});
      vectors(Op::kMiddleVectors, l, Buffer::kNorm2Sums, Buffer::kMiddleVectorGradient);
      attention_backward(l);
      linear_weight(LinearSite::kProjection, l, Buffer::kProjectionGradient,
                    {reads(Buffer::kAttended, l, all()), reads(Buffer::kDmiddle, all())});
      linear_backward(LinearSite::kQkv, l, [&](Range rows) {
        return fused({reads(Buffer::kDqkv, rows), writes(Buffer::kDnorm, rows)},
                     norm1_backward(l, rows));
      });
      vectors(Op::kQkvVectors, l, Buffer::kQkvSums, Buffer::kQkvVectorGradient);
      if (!p_.whole_rows) {
        pass(Op::kNorm1Backward, l, [&](Range rows) { return norm1_backward(l, rows); });
      }
    }
    input_gradients(0);
    add(Op::kEmbedBackward, 0, p_.embed_tiles(),
        {reads(Buffer::kDx, below(0), all()), writes(Buffer::kTokenGradient, all())});
  }

  void attention_backward(std::int64_t l) {
    const std::int64_t H = p_.config.heads, T = p_.shape.length;
    for (std::int64_t s = 0; s < p_.shape.sequences; s += p_.lane_sequences()) {
      const std::int64_t end = std::min(p_.shape.sequences, s + p_.lane_sequences());
      const Range rows{s * T, end * T};
      phases_.push_back({Op::kAttentionBackward,
                         l,
                         0,
                         s * H,
                         1,
                         static_cast<std::int32_t>((end - s) * H),
                         rows,
                         {reads(Buffer::kDnorm, rows), reads(Buffer::kQkv, l, rows),
                          reads(Buffer::kAttended, l, rows), reads(Buffer::kLogSumExp, l, rows),
                          writes(Buffer::kDqkv, rows), writes(Buffer::kQkvSums, rows)}});
    }
  }

  void linear_weight(LinearSite site, std::int64_t l, Buffer gradient, Accesses operands) {
    operands.push_back(writes(gradient, l, all()));
    add(Op::kLinearWeight, l, p_.linear(site).weight.tiles(), std::move(operands));
    phases_.back().site = site;
  }
  void vectors(Op op, std::int64_t l, Buffer sums, Buffer gradient) {
    add(op, l, 1, {reads(sums, all()), writes(gradient, l, all())});
  }
  void input_gradients(std::int64_t l) {
    linear_weight(LinearSite::kQkv, l, Buffer::kQkvGradient,
                  {reads(Buffer::kNormed1, all()), reads(Buffer::kDqkv, all())});
    vectors(Op::kInputVectors, l, Buffer::kNorm1Sums, Buffer::kInputVectorGradient);
  }
  void final_vectors(std::int64_t l) {
    add(Op::kFinalVectors, l, 1,
        {reads(Buffer::kFinalSums, all()), reads(Buffer::kRowLoss, all()),
         writes(Buffer::kFinalVectorGradient, all()), writes(Buffer::kLoss, all())});
  }

  const ShardCuts& p_;
  const Pass pass_;
  std::vector<Phase> phases_;
};

}  // namespace

std::vector<Phase> list_phases(const ShardCuts& cuts, Pass pass) {
  return PhaseList(cuts, pass).list();
}

}  // namespace cllm
