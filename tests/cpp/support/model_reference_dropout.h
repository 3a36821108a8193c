// Dropout of the reference model takes each element's factor from the definition.
#pragma once

#include "cllm/model_config.h"
#include "dropout_reference.h"
#include "model/dropout.h"
#include "model_reference_math.h"

namespace cllm {

/// Without a source nothing is dropped. Rows are those of the whole batch.
class ReferenceDropout {
 public:
  ReferenceDropout(const ModelConfig& config, const DropoutSource* source, std::int64_t length)
      : rates_(config.dropout), width_(config.width), length_(length), source_(source) {}

  /// Returns the factor of the weight that row r gives to row s of its sequence.
  double of_weight(std::int64_t layer, std::int64_t r, std::size_t s, std::int64_t head) const {
    return factor(rates_.attention, DropoutSite::kAttention, layer, r, static_cast<std::int64_t>(s),
                  head);
  }
  /// Drops x[R, C], or its gradient.
  void drop_embedding(Doubles& x) const { drop(rates_.embedding, DropoutSite::kEmbedding, 0, x); }
  /// Drops what block b adds to the stream, or its gradient.
  void drop_added(std::int64_t b, Doubles& y) const {
    drop(rates_.residual, b % 2 == 0 ? DropoutSite::kMiddle : DropoutSite::kOutput, b / 2, y);
  }

 private:
  double factor(double rate, DropoutSite site, std::int64_t layer, std::int64_t r, std::int64_t c,
                std::int64_t head) const {
    if (source_ == nullptr || rate == 0) return 1;
    const Dropout dropout = dropout_of(*source_, r / length_, rate, site, layer, head);
    return reference_factor(dropout, r % length_, c);
  }
  void drop(double rate, DropoutSite site, std::int64_t layer, Doubles& x) const {
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i);
      x[i] *= factor(rate, site, layer, at / width_, at % width_, 0);
    }
  }

  const DropoutRates rates_;
  const std::int64_t width_, length_;
  const DropoutSource* const source_;
};

}  // namespace cllm
