// Loss, logits and every gradient of a shard are compared with the model in double: all elements
// with its gradient derived by hand, a sample with finite differences of its loss.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <string>

#include "cpu/features.h"
#include "model_reference_backward.h"
#include "shard_runner.h"

namespace cllm {
namespace {

struct GradientCase {
  std::string name;
  std::int64_t layers, heads, width, positions, vocabulary, length;
  std::vector<std::int64_t> shards;  ///< sequences of each; the first is the largest
  bool bias;
  std::int64_t samples;  ///< random differences in a vector, or all; 0: only the largest anywhere
  DropoutRates dropout = {};
};

std::vector<GradientCase> gradient_cases() {
  return {{"Remainders", 2, 5, 60, 40, 101, 33, {3}, true, 12},
          {"Small", 1, 4, 32, 16, 257, 16, {2}, true, 128},
          {"TwoShards", 2, 2, 12, 11, 47, 11, {3, 2}, true, 48},
          {"NoBias", 2, 2, 12, 12, 47, 11, {2}, false, 48},
          {"OneToken", 1, 1, 4, 3, 5, 1, {1}, true, 48},
          {"AttentionBlocks", 1, 2, 16, 130, 31, 130, {1}, true, 64},
          {"QueryBlocks", 1, 1, 8, 600, 31, 520, {1}, true, 12},
          {"RowPasses", 2, 2, 20, 52, 31, 52, {16}, true, 0},
          {"WideRows", 1, 3, 132, 20, 31, 20, {2}, true, 0},
          {"VocabularyBlocks", 1, 2, 16, 8, 1100, 8, {2}, true, 64},
          {"Dropout", 2, 2, 12, 70, 47, 67, {3, 2}, true, 48, {0.1, 0.3, 0.2}},
          {"DropoutWideRows", 2, 3, 132, 20, 31, 20, {2}, true, 0, {0.1, 0.1, 0.1}},
          {"DropoutOfEmbedding", 2, 2, 12, 11, 47, 11, {3, 2}, true, 12, {0.25, 0, 0}},
          {"DropoutOfAttention", 1, 2, 12, 11, 47, 11, {2}, true, 12, {0, 0.5, 0}}};
}

ModelConfig model_of(const GradientCase& c) {
  ModelConfig config{c.layers, c.heads, c.width, c.positions, c.vocabulary, c.bias};
  config.dropout = c.dropout;
  return config;
}

/// `count` sequences of a batch from `first` on.
TokenBatch part(const TokenBatch& all, std::int64_t first, std::int64_t count) {
  const std::int64_t begin = first * all.length, end = begin + count * all.length;
  return {count,
          all.length,
          {all.inputs.begin() + begin, all.inputs.begin() + end},
          {all.targets.begin() + begin, all.targets.begin() + end}};
}

/// A case in double, computed once.
struct Wanted {
  explicit Wanted(const GradientCase& c)
      : config(model_of(c)),
        layout(config),
        parameters(lively_parameters(layout)),
        batch(random_batch(sequences(c), c.length, c.vocabulary)),
        sequences_drawn(drawn(batch.sequences)),
        source{11, 5, sequences_drawn.data()},
        reference(config, layout, parameters.data(), batch, &source),
        gradient(reference.gradient()) {}

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
  /// about 16 operations a layer, and sums of 4C, V' and R terms whose errors add like a random
  /// walk.
  double tolerance() const {
    constexpr double kRounding = 6e-8;
    const auto steps = static_cast<double>(16 * (config.layers + 1));
    const auto terms = static_cast<double>(4 * config.width + config.vocabulary + batch.rows());
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
double run_shards(const GradientCase& c, const Wanted& wanted, ShardRunner& runner,
                  TileOrder order) {
  const double scale = 1 / static_cast<double>(wanted.batch.rows());
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
std::vector<std::int64_t> samples_of(const TensorEntry& t, const Doubles& gradient,
                                     std::int64_t vector_samples) {
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
void expect_gradient(const ShardRunner& runner, const Wanted& wanted, double most, double whole) {
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

class ModelGradient : public testing::TestWithParam<GradientCase> {};

TEST_P(ModelGradient, IsTheDerivativeOfTheLoss) {
  const GradientCase& c = GetParam();
  Wanted wanted(c);
  const double tolerance = wanted.tolerance();
  ASSERT_LT(tolerance, 1e-4);
  std::map<std::int64_t, double> differences;
  for (const TensorEntry& t : wanted.layout.tensors()) {
    const double largest = wanted.largest(t);
    for (const std::int64_t i : samples_of(t, wanted.gradient, c.samples)) {
      const double h = 1e-4;
      const double slope =
          (wanted.reference.loss_with(i, h) - wanted.reference.loss_with(i, -h)) / (2 * h);
      EXPECT_NEAR(wanted.gradient[static_cast<std::size_t>(i)], slope, 1e-6 * largest + 1e-10)
          << t.name << " element " << i - t.offset << ": the reference itself";
      differences[i] = slope;
    }
  }
  for (const KernelTable* table : runnable_kernels()) {
    SCOPED_TRACE(table->name);
    ShardRunner runner(wanted.config, wanted.layout, c.shards.front(), c.length, *table);
    const double loss = run_shards(c, wanted, runner, TileOrder::kForward);
    EXPECT_NEAR(loss, wanted.reference.loss(), tolerance * std::abs(wanted.reference.loss()));
    expect_gradient(runner, wanted, tolerance, tolerance);
    for (const TensorEntry& t : wanted.layout.tensors()) {
      const double bound = (tolerance + 1e-6) * wanted.largest(t) + 1e-10;
      for (auto i = differences.lower_bound(t.offset);
           i != differences.end() && i->first < t.offset + t.size; ++i) {
        EXPECT_NEAR(runner.gradient[static_cast<std::size_t>(i->first)], i->second, bound)
            << t.name << " element " << i->first - t.offset;
      }
    }
  }
}

TEST_P(ModelGradient, OrderOfTilesAndOldMemoryDoNotShow) {
  const GradientCase& c = GetParam();
  const Wanted wanted(c);
  for (const KernelTable* table : runnable_kernels()) {
    SCOPED_TRACE(table->name);
    ShardRunner first(wanted.config, wanted.layout, c.shards.front(), c.length, *table);
    const double loss = run_shards(c, wanted, first, TileOrder::kForward);
    const auto expect_same = [&](ShardRunner& runner, TileOrder order, const std::string& what) {
      EXPECT_EQ(run_shards(c, wanted, runner, order), loss) << what;
      for (const TensorEntry& t : wanted.layout.tensors()) {
        EXPECT_EQ(std::memcmp(runner.gradient.data() + t.offset, first.gradient.data() + t.offset,
                              static_cast<std::size_t>(t.size) * sizeof(float)),
                  0)
            << t.name << ", " << what;
      }
    };
    ShardRunner second(wanted.config, wanted.layout, c.shards.front(), c.length, *table);
    expect_same(second, TileOrder::kReversed, "reversed, memory that was NaN");
    expect_same(second, TileOrder::kShuffled, "shuffled, memory in use before");
  }
}

/// Each operand is rounded to 8 bits, by as many steps as there are products between it and the
/// loss. Single elements are sums in which much cancels.
TEST_P(ModelGradient, OfBf16IsNearThatOfTheLoss) {
  const GradientCase& c = GetParam();
  const Wanted wanted(c);
  for (const KernelTable* table : runnable_kernels()) {
    SCOPED_TRACE(table->name);
    ShardRunner runner(wanted.config, wanted.layout, c.shards.front(), c.length, *table,
                       Pass::kTraining, Precision::kBf16);
    const double loss = run_shards(c, wanted, runner, TileOrder::kForward);
    EXPECT_NEAR(loss, wanted.reference.loss(), 1e-2 * wanted.reference.loss());
    expect_gradient(runner, wanted, 3e-2, 2e-2);

    ShardRunner again(wanted.config, wanted.layout, c.shards.front(), c.length, *table,
                      Pass::kTraining, Precision::kBf16);
    EXPECT_EQ(run_shards(c, wanted, again, TileOrder::kShuffled), loss);
    for (const TensorEntry& t : wanted.layout.tensors()) {
      EXPECT_EQ(std::memcmp(again.gradient.data() + t.offset, runner.gradient.data() + t.offset,
                            static_cast<std::size_t>(t.size) * sizeof(float)),
                0)
          << t.name;
    }
  }
}

TEST_P(ModelGradient, IsTheSameWhenActivationsAreMadeAgain) {
  const GradientCase& c = GetParam();
  const Wanted wanted(c);
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    ShardRunner kept(wanted.config, wanted.layout, c.shards.front(), c.length, kernels(),
                     Pass::kTraining, precision);
    ShardRunner again(wanted.config, wanted.layout, c.shards.front(), c.length, kernels(),
                      Pass::kRecomputing, precision);
    const ShardShape largest{c.shards.front(), c.length};
    EXPECT_LE(Workspace::bytes_for(wanted.config, largest, Pass::kRecomputing, precision),
              Workspace::bytes_for(wanted.config, largest, Pass::kTraining, precision));
    const double loss = run_shards(c, wanted, kept, TileOrder::kForward);
    for (const TileOrder order :
         {TileOrder::kForward, TileOrder::kReversed, TileOrder::kShuffled}) {
      EXPECT_EQ(run_shards(c, wanted, again, order), loss);
      for (const TensorEntry& t : wanted.layout.tensors()) {
        EXPECT_EQ(std::memcmp(again.gradient.data() + t.offset, kept.gradient.data() + t.offset,
                              static_cast<std::size_t>(t.size) * sizeof(float)),
                  0)
            << t.name;
      }
    }
  }
}

/// The logits stand in the workspace when there is one chunk of them and no gradient in their
/// place.
TEST_P(ModelGradient, LogitsAndLossOfInferenceAgree) {
  GradientCase c = GetParam();
  c.dropout = {};
  const Wanted wanted(c);
  const Doubles logits = wanted.reference.logits();
  double largest = 0;
  for (const double z : logits) largest = std::max(largest, std::abs(z));
  for (const KernelTable* table : runnable_kernels()) {
    SCOPED_TRACE(table->name);
    ShardRunner runner(wanted.config, wanted.layout, wanted.batch.sequences, c.length, *table,
                       Pass::kForward);
    const double loss = runner.run(wanted.parameters.data(), wanted.batch, false, 1.0);
    const auto rows = static_cast<double>(wanted.batch.rows());
    EXPECT_NEAR(loss / rows, wanted.reference.loss(), wanted.tolerance() * wanted.reference.loss());
    double worst = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double error = std::abs(double{runner.workspace.logits[i]} - logits[i]);
      if (!(error <= worst) && !std::isnan(worst)) worst = error;
    }
    EXPECT_LE(worst, wanted.tolerance() * largest);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, ModelGradient, testing::ValuesIn(gradient_cases()),
                         [](const auto& test) { return test.param.name; });

/// The cases do reach what they are for.
TEST(ModelGradientItself, CasesHaveSeveralTilesOfEveryKind) {
  std::map<std::string, std::int64_t> most;
  for (const GradientCase& c : gradient_cases()) {
    const ModelConfig config = model_of(c);
    const ParameterLayout layout(config);
    const ShardCuts cuts(config, layout, {c.shards.front(), c.length}, WeightLayout::kPlain);
    const auto see = [&](const char* what, std::int64_t n) {
      most[what] = std::max(most[what], n);
    };
    see("row passes", cuts.pass_tiles());
    see("embedding columns", cuts.embed_tiles());
    see("query blocks", cuts.query_blocks());
    see("heads of an attention tile", cuts.heads_per_tile);
    see("attention groups", cuts.attention_groups());
    see("vocabulary blocks", cuts.logits(0).column_tiles());
    const LinearCuts &qkv = cuts.linear(LinearSite::kQkv),
                     &hidden = cuts.linear(LinearSite::kHidden);
    const LinearCuts& output = cuts.linear(LinearSite::kOutput);
    see("row tiles", std::min(qkv.forward.row_tiles(), output.backward.row_tiles()));
    see("column tiles", std::min(qkv.forward.column_tiles(), hidden.forward.column_tiles()));
    see("weight tiles", std::min(output.weight.row_tiles(), hidden.weight.column_tiles()));
  }
  for (const auto& [what, n] : most) EXPECT_GT(n, 1) << what;
}

TEST(PositionGradient, IsZeroBeyondTheSequence) {
  for (const GradientCase& c : gradient_cases()) {
    if (c.positions == c.length) continue;
    const Wanted wanted(c);
    ShardRunner runner(wanted.config, wanted.layout, c.shards.front(), c.length, kernels());
    run_shards(c, wanted, runner, TileOrder::kForward);
    const float* rows = runner.gradient.data() + wanted.layout.position_embedding();
    EXPECT_NE(rows[c.length * c.width - 1], 0.0f) << c.name;
    for (std::int64_t i = c.length * c.width; i < c.positions * c.width; ++i) {
      ASSERT_EQ(rows[i], 0.0f) << c.name << ", position " << i / c.width;
    }
  }
}

/// More logits than may exist at the same time: 129 rows go in two chunks of 80 and 49, and the 86
/// rows of the smaller shard in one, which is larger. Differences of so large a head are slow: one
/// along the gradient, where the loss must change by its squared length.
TEST(ChunkedHead, GradientsAddOverChunksAndShards) {
  const GradientCase c = {"Chunks", 1, 1, 4, 43, 262200, 43, {3, 2}, true, 0};
  const Wanted wanted(c);
  ShardRunner runner(wanted.config, wanted.layout, 3, c.length, kernels());
  ASSERT_EQ(ShardCuts(wanted.config, wanted.layout, {3, c.length}, WeightLayout::kPlain).chunks(),
            2);
  ASSERT_EQ(ShardCuts(wanted.config, wanted.layout, {2, c.length}, WeightLayout::kPlain).chunks(),
            1);
  const double loss = run_shards(c, wanted, runner, TileOrder::kShuffled);
  EXPECT_NEAR(loss, wanted.reference.loss(), wanted.tolerance() * wanted.reference.loss());
  expect_gradient(runner, wanted, wanted.tolerance(), wanted.tolerance());

  const double h = 1e-5;
  const double slope = (wanted.reference.loss_along(wanted.gradient, h) -
                        wanted.reference.loss_along(wanted.gradient, -h)) /
                       (2 * h);
  double length = 0;
  for (const TensorEntry& t : wanted.layout.tensors()) {
    for (std::int64_t i = t.offset; i < t.offset + t.size; ++i) {
      const auto at = static_cast<std::size_t>(i);
      length += double{runner.gradient[at]} * wanted.gradient[at];
    }
  }
  EXPECT_NEAR(slope, length, 1e-5 * length);
}

/// A workspace for the largest shard has room for the chunks of every smaller one.
TEST(ChunkedHead, NoSmallerShardNeedsMore) {
  for (const std::int64_t vocabulary : {101, 50257, 65536, 131072, 300000}) {
    for (std::int64_t largest = 1; largest <= 2100; largest += largest < 700 ? 1 : 97) {
      const std::int64_t room = most_logit_rows(largest, vocabulary);
      std::int64_t most = 0;
      for (std::int64_t rows = 1; rows <= largest; ++rows) {
        ASSERT_LE(logit_rows(rows, vocabulary), rows);
        most = std::max(most, logit_rows(rows, vocabulary));
      }
      ASSERT_EQ(most, room) << largest << " rows, vocabulary " << vocabulary;
    }
  }
}

}  // namespace
}  // namespace cllm
