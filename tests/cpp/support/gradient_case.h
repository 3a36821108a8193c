// Tests of a shard's gradient take these cases, and compare them with the model in double.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "model_reference_backward.h"
#include "shard_runner.h"

namespace cllm {

struct GradientCase {
  std::string name;
  std::int64_t layers, heads, width, positions, vocabulary, length;
  std::vector<std::int64_t> shards;  ///< sequences of each; the first is the largest
  bool bias;
  std::int64_t samples;  ///< random differences in a vector, or all; 0: only the largest anywhere;
                         ///< -1: none, where the loss has kinks
  DropoutRates dropout = {};
  std::function<void(ModelConfig&)> change = nullptr;  ///< makes it another family or variant
  double bf16 = 1;  ///< allows for more roundings to bf16 than GPT-2 has, or for slopes that jump
  bool packed = false;  ///< sequences hold several documents, and not every target is counted
};

inline ModelConfig model_of(const GradientCase& c) {
  ModelConfig config{c.layers, c.heads, c.width, c.positions, c.vocabulary, c.bias};
  config.dropout = c.dropout;
  if (c.change) c.change(config);
  return config;
}

/// `count` sequences of a batch from `first` on.
inline TokenBatch part(const TokenBatch& all, std::int64_t first, std::int64_t count) {
  const std::int64_t begin = first * all.length, end = begin + count * all.length;
  const auto rows = [=](const std::vector<std::int32_t>& column) {
    return column.empty() ? column
                          : std::vector<std::int32_t>(column.begin() + begin, column.begin() + end);
  };
  return {count, all.length, rows(all.inputs), rows(all.targets), rows(all.first_keys)};
}

/// A case in double, computed once.
struct Wanted {
  explicit Wanted(const GradientCase& c)
      : config(model_of(c)),
        layout(config),
        parameters(lively_parameters(layout)),
        batch(batch_of(c)),
        sequences_drawn(drawn(batch.sequences)),
        source{11, 5, sequences_drawn.data()},
        reference(config, layout, parameters.data(), batch, &source),
        gradient(reference.gradient()) {}

  static TokenBatch batch_of(const GradientCase& c) {
    TokenBatch batch = random_batch(sequences(c), c.length, c.vocabulary);
    return c.packed ? packed(std::move(batch)) : batch;
  }
  /// As routing may have laid them out.
  static std::vector<std::int64_t> drawn(std::int64_t sequences) {
    std::vector<std::int64_t> all;
    for (std::int64_t s = sequences; s > 0; --s) all.push_back(s % sequences);
    return all;
  }
  static std::int64_t sequences(const GradientCase& c) {
    std::int64_t n = 0;
    for (const std::int64_t s : c.shards) n += s;
    return n;
  }
  double largest(const TensorEntry& t) const {
    double most = 0;
    for (std::int64_t i = t.offset; i < t.offset + t.size; ++i) {
      most = std::max(most, std::abs(gradient[static_cast<std::size_t>(i)]));
    }
    return most;
  }
  /// What rounding may do to a sum, relative to the largest of its kind: every value passes through
  /// about 16 operations a layer, and sums of F, V' and R terms whose errors add like a random
  /// walk.
  double tolerance() const {
    constexpr double kRounding = 6e-8;
    const auto steps = static_cast<double>(16 * (config.layers + 1));
    const auto terms = static_cast<double>(config.hidden() + config.vocabulary + batch.rows());
    return kRounding * (steps + std::sqrt(terms));
  }

  const ModelConfig config;
  const ParameterLayout layout;
  const std::vector<float> parameters;
  const TokenBatch batch;
  const std::vector<std::int64_t> sequences_drawn;
  const DropoutSource source;
  ModelReferenceBackward reference;
  const Doubles gradient;
};

/// The mean loss of the shards; their gradient is left in the runner.
inline double run_shards(const GradientCase& c, const Wanted& wanted, ShardRunner& runner,
                         TileOrder order) {
  const double scale = 1 / static_cast<double>(wanted.batch.counted());
  double loss = 0;
  std::int64_t first = 0;
  if (c.dropout.any()) runner.dropout = &wanted.source;
  for (const std::int64_t sequences : c.shards) {
    runner.first_sequence = first;
    loss += runner.run(wanted.parameters.data(), part(wanted.batch, first, sequences), first > 0,
                       scale, order);
    first += sequences;
  }
  return loss * scale;
}

/// Elements to check by differences: all of a small tensor, else random ones and the largest.
inline std::vector<std::int64_t> samples_of(const TensorEntry& t, const Doubles& gradient,
                                            std::int64_t vector_samples) {
  if (vector_samples < 0) return {};
  const std::int64_t matrix_samples = vector_samples > 0 ? 40 : 0;
  const std::int64_t count = t.shape.size() == 1 ? vector_samples : matrix_samples;
  std::vector<std::int64_t> all(static_cast<std::size_t>(t.size));
  std::iota(all.begin(), all.end(), t.offset);
  if (t.size <= count + 4) return all;
  std::mt19937 random(static_cast<unsigned>(t.offset));
  std::shuffle(all.begin(), all.end(), random);
  std::partial_sort(all.begin() + count, all.begin() + count + 4, all.end(),
                    [&](std::int64_t a, std::int64_t b) {
                      return std::abs(gradient[static_cast<std::size_t>(a)]) >
                             std::abs(gradient[static_cast<std::size_t>(b)]);
                    });
  all.resize(static_cast<std::size_t>(count + 4));
  return all;
}

/// Of each tensor: no element further off than `most` of the largest, the root of the sum of
/// squared errors at most `whole` of that of the squares.
inline void expect_gradient(const ShardRunner& runner, const Wanted& wanted, double most,
                            double whole) {
  for (const TensorEntry& t : wanted.layout.tensors()) {
    double worst = 0, errors = 0, squares = 0;
    for (std::int64_t i = t.offset; i < t.offset + t.size; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double error = std::abs(double{runner.gradient[at]} - wanted.gradient[at]);
      if (!(error <= worst) && !std::isnan(worst)) worst = error;  // a NaN stays
      errors += error * error;
      squares += wanted.gradient[at] * wanted.gradient[at];
    }
    EXPECT_LE(worst, most * wanted.largest(t)) << t.name;
    EXPECT_LE(std::sqrt(errors), whole * std::sqrt(squares)) << t.name;
  }
}

}  // namespace cllm
