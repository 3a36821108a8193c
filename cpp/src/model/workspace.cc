#include "model/workspace.h"

#include "model/tiling.h"

namespace cllm {
namespace {

/// Hands out consecutive pieces, each on a cache line of its own; counts only when base is null.
class Cutter {
 public:
  explicit Cutter(float* base) : base_(base) {}
  float* take(std::int64_t floats) {
    const std::size_t at = used_;
    used_ += static_cast<std::size_t>((floats + 31) / 32 * 32);
    return base_ == nullptr ? nullptr : base_ + at;
  }
  std::size_t used() const { return used_; }

 private:
  float* base_;
  std::size_t used_ = 0;
};

}  // namespace

Workspace::Workspace(const ModelConfig& config, const ShardShape& largest, bool training) {
  memory_ = AlignedBuffer<float>(lay_out(nullptr, config, largest, training));
  lay_out(memory_.data(), config, largest, training);
}

std::size_t Workspace::bytes_for(const ModelConfig& config, const ShardShape& largest,
                                 bool training) {
  Workspace counting;
  return sizeof(float) * counting.lay_out(nullptr, config, largest, training);
}

std::size_t Workspace::lay_out(float* base, const ModelConfig& config, const ShardShape& largest,
                               bool training) {
  Cutter cut(base);
  const std::int64_t R = largest.rows(), C = config.width, V = config.vocabulary;
  layers.clear();
  for (std::int64_t l = 0; l < config.layers; ++l) {
    if (l > 0 && !training) {  // inference keeps nothing: every layer uses the same memory
      layers.push_back(layers.front());
      continue;
    }
    LayerActivations a;
    a.x = cut.take(R * C);
    a.mean1 = cut.take(R);
    a.rstd1 = cut.take(R);
    a.qkv = cut.take(R * 3 * C);
    a.lse = cut.take(R * config.heads);
    a.attended = cut.take(R * C);
    a.middle = cut.take(R * C);
    a.mean2 = cut.take(R);
    a.rstd2 = cut.take(R);
    a.hidden = cut.take(R * 4 * C);
    layers.push_back(a);
  }
  x_final = cut.take(R * C);
  if (!training) x_final = layers.front().x;
  mean_final = cut.take(R);
  rstd_final = cut.take(R);
  normed1 = cut.take(R * C);
  normed2 = cut.take(R * C);
  gelu = cut.take(R * 4 * C);
  features = cut.take(R * C);
  const std::int64_t chunk = most_logit_rows(R, V);
  logits = cut.take(chunk * V);
  const std::int64_t blocks = ceil_div(V, kLeastVocabularyBlock);
  block_max = cut.take(blocks * chunk);
  block_sum = cut.take(blocks * chunk);
  row_loss = cut.take(R);
  if (!training) return cut.used();

  dx[0] = cut.take(R * C);
  dx[1] = cut.take(R * C);
  dmiddle = cut.take(R * C);
  dnorm = cut.take(R * C);
  dhidden = cut.take(R * 4 * C);
  dqkv = cut.take(R * 3 * C);
  // A shard with fewer rows may be cut in more tiles, but never in more than its rows of 16.
  const std::int64_t groups = ceil_div(R, 16) + 1;
  fc_bias = cut.take(groups * 4 * C);
  qkv_bias = cut.take(largest.sequences * 3 * C);
  for (PartialSums* p : {&norm1, &norm2, &norm_final}) {
    p->gamma = cut.take(groups * C);
    p->beta = cut.take(groups * C);
    p->below = cut.take(groups * C);
  }
  return cut.used();
}

}  // namespace cllm
