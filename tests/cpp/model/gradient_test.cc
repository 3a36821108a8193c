// Loss, logits and every gradient of a shard are compared with the model in double: all elements
// with its gradient derived by hand, a sample with finite differences of its loss.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <string>

#include "cpu/features.h"
#include "gradient_case.h"
#include "sanitized.h"

namespace cllm {
namespace {

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
          {"DropoutOfAttention", 1, 2, 12, 11, 47, 11, {2}, true, 12, {0, 0.5, 0}},
          {"Packed", 2, 2, 12, 80, 47, 80, {3, 2}, true, 4, {0.1, 0.1, 0.1}, nullptr, 1.5, true}};
}

ModelConfig& family(ModelConfig& c, Family of, std::int64_t kv_heads, std::int64_t hidden) {
  c.family = of;
  c.kv_heads = kv_heads;
  c.hidden_dim = hidden;
  return c;
}

/// Other families, with heads of keys that serve one to five of queries; heads that make rows wider
/// than the model, that do not divide a tile, and that share a tile with values; widths of the gate
/// that are odd; and the variants of GPT-2.
std::vector<GradientCase> family_cases() {
  const auto llama = [](ModelConfig& c) {
    family(c, Family::kLlama, 1, 200).rope_theta = 5e5;
    c.rope_scaling = Llama3Scaling{8, 1, 4, 16};
    c.tied_head = false;
  };
  const auto qwen3 = [](ModelConfig& c) { family(c, Family::kQwen3, 2, 100).head_dim = 16; };
  const auto qwen2 = [](ModelConfig& c) { family(c, Family::kQwen2, 1, 37); };
  const auto shared = [](ModelConfig& c) { family(c, Family::kLlama, 2, 0); };
  const auto straddling = [](ModelConfig& c) { family(c, Family::kLlama, 1, 150).head_dim = 32; };
  const auto wide = [](ModelConfig& c) {
    family(c, Family::kQwen3, 1, 131).head_dim = 80;
    c.epsilon = 1e-3;
  };
  const auto erf = [](ModelConfig& c) {
    c.activation_kind = Activation::kGelu;
    c.hidden_dim = 50;
    c.scale_by_layer = true;
    c.epsilon = 1e-3;
    c.tied_head = false;
  };
  const auto relu = [](ModelConfig& c) { c.activation_kind = Activation::kRelu; };
  return {{"Llama", 2, 5, 60, 40, 101, 33, {3}, true, 4, {}, llama},
          {"Qwen3", 2, 4, 72, 40, 101, 33, {3, 2}, true, 0, {}, qwen3},
          {"Qwen2", 2, 2, 24, 11, 47, 11, {3, 2}, true, 24, {}, qwen2, 1.5},
          {"LlamaDropout", 2, 4, 24, 70, 47, 67, {3, 2}, true, 0, {0.1, 0.3, 0.2}, shared, 1.5},
          {"LlamaQueryBlocks", 1, 4, 16, 600, 31, 520, {1}, true, 0, {}, shared},
          {"LlamaWideRows", 2, 4, 136, 20, 31, 20, {2}, true, 0, {}, straddling},
          {"Qwen3WideHeads", 2, 3, 136, 20, 31, 20, {12}, true, 0, {0, 0.1, 0.1}, wide},
          {"LlamaTwoTokens", 1, 2, 8, 3, 5, 2, {1}, true, 48, {}, qwen2, 1.5},
          {"PackedLlama", 2, 4, 24, 70, 47, 67, {2, 1}, true, 0, {}, shared, 1.5, true},
          {"PackedQwen2", 1, 2, 24, 90, 47, 90, {2, 1}, true, 4, {}, qwen2, 1.5, true},
          {"PackedQwen3", 2, 4, 72, 40, 101, 33, {3, 2}, true, 0, {}, qwen3, 1, true},
          {"Gpt2ErfUntied", 3, 2, 12, 11, 47, 11, {3, 2}, true, 24, {}, erf},
          {"Gpt2Relu", 1, 4, 32, 16, 257, 16, {2}, true, -1, {}, relu, 4}};
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
    expect_gradient(runner, wanted, 3e-2 * c.bf16, 2e-2 * c.bf16);

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
    EXPECT_LE(Workspace::bytes_for(wanted.layout, largest, Pass::kRecomputing, precision),
              Workspace::bytes_for(wanted.layout, largest, Pass::kTraining, precision));
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
    const auto counted = static_cast<double>(wanted.batch.counted());
    EXPECT_NEAR(loss / counted, wanted.reference.loss(),
                wanted.tolerance() * wanted.reference.loss());
    double worst = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double error = std::abs(double{runner.workspace.logits[i]} - logits[i]);
      if (!(error <= worst) && !std::isnan(worst)) worst = error;
    }
    EXPECT_LE(worst, wanted.tolerance() * largest);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, ModelGradient,
                         testing::ValuesIn(fewer_if_sanitized(gradient_cases())),
                         [](const auto& test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(Families, ModelGradient,
                         testing::ValuesIn(fewer_if_sanitized(family_cases())),
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
