// A document of a shard has the same loss and leaves the same gradient whatever lies beside it in
// its sequence, bit for bit; and what has no counted target is not computed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <utility>

#include "cpu/features.h"
#include "gradient_case.h"

namespace cllm {
namespace {

constexpr std::int64_t kLength = 150;

std::vector<ModelConfig> families() {
  std::vector<ModelConfig> all;
  for (const Family family : {Family::kGpt2, Family::kLlama, Family::kQwen2, Family::kQwen3}) {
    ModelConfig c{2, 4, 32, kLength, 101};
    c.family = family;
    if (family != Family::kGpt2) c.kv_heads = 2;
    c.tied_head = family != Family::kLlama;
    c.dropout = {0.1, 0.1, 0.1};
    all.push_back(c);
  }
  return all;
}

/// Two sequences of which rows [begin, end) of the first are the document that counts; everything
/// else comes from a seed, the borders of other documents too.
TokenBatch batch_around(std::int64_t begin, std::int64_t end, unsigned seed) {
  TokenBatch batch = random_batch(2, kLength, 101), other = random_batch(2, kLength, 101, seed);
  const std::int64_t third = begin / (seed % 3 + 1);
  for (std::int64_t r = 0; r < batch.rows(); ++r) {
    const auto at = static_cast<std::size_t>(r);
    const bool own = r >= begin && r < end;
    std::int64_t first = r < third || r >= kLength ? 0 : third;
    if (r < kLength && r >= begin) first = own ? begin : end;
    batch.first_keys.push_back(static_cast<std::int32_t>(first));
    if (own) continue;
    batch.inputs[at] = other.inputs[at];
    batch.targets[at] = kNotCounted;
  }
  return batch;
}

TEST(DocumentsOfAShard, HaveNoNeighbours) {
  const std::vector<std::int64_t> sequences = {0, 1};
  const DropoutSource source{11, 5, sequences.data()};
  for (const ModelConfig& config : families()) {
    const ParameterLayout layout(config);
    const std::vector<float> parameters = lively_parameters(layout);
    for (const KernelTable* table : runnable_kernels()) {
      for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
        ShardRunner one(config, layout, 2, kLength, *table, Pass::kTraining, precision);
        ShardRunner two(config, layout, 2, kLength, *table, Pass::kTraining, precision);
        one.dropout = two.dropout = &source;
        for (const auto& [begin, end] :
             {std::pair<std::int64_t, std::int64_t>{0, 40}, {64, 128}, {50, 150}}) {
          const auto run = [&, b = begin, e = end](ShardRunner& runner, unsigned seed) {
            return runner.run(parameters.data(), batch_around(b, e, seed), false, 0.01);
          };
          const double loss = run(one, 7);
          EXPECT_TRUE(std::isfinite(loss));
          EXPECT_EQ(run(two, 8), loss);
          EXPECT_EQ(std::memcmp(one.gradient.data(), two.gradient.data(), one.gradient.bytes()), 0)
              << table->name << ", family " << static_cast<int>(config.family);
        }
      }
    }
  }
}

/// A model, its weights and a batch, for runners whose head has all rows or few.
class SomeTargets {
 public:
  SomeTargets(const ModelConfig& config, TokenBatch batch)
      : config_(config),
        layout_(config),
        parameters_(lively_parameters(layout_)),
        batch_(std::move(batch)) {}

  std::unique_ptr<ShardRunner> runner(HeadRows rows, Pass pass, Precision precision) const {
    auto made = std::make_unique<ShardRunner>(config_, layout_, batch_.sequences, batch_.length,
                                              kernels(), pass, precision);
    made->head_rows = rows;
    return made;
  }
  double run(ShardRunner& runner, TileOrder order = TileOrder::kForward) const {
    return runner.run(parameters_.data(), batch_, false, 0.01, order);
  }
  const ParameterLayout& layout() const { return layout_; }
  const Linear& head() const { return layout_.network().head; }
  std::vector<float>& parameters() { return parameters_; }

  /// Counted rows alone leave the bits of all rows, but for the order of the sum in the gradient of
  /// the head's weight.
  void expect_same(Precision precision) const {
    const auto all = runner(HeadRows::kAll, Pass::kTraining, precision);
    const auto few = runner(HeadRows::kCounted, Pass::kTraining, precision);
    const double loss = run(*all);
    for (const TileOrder order :
         {TileOrder::kForward, TileOrder::kReversed, TileOrder::kShuffled}) {
      EXPECT_EQ(run(*few, order), loss);
      for (const TensorEntry& t : layout_.tensors()) expect_same(t, *few, *all);
    }
    EXPECT_EQ(run(*runner(HeadRows::kCounted, Pass::kForward, precision)),
              run(*runner(HeadRows::kAll, Pass::kForward, precision)));
  }

 private:
  void expect_same(const TensorEntry& t, const ShardRunner& few, const ShardRunner& all) const {
    const float* const seen = few.gradient.data() + t.offset;
    const float* const wanted = all.gradient.data() + t.offset;
    const auto size = static_cast<std::size_t>(t.size);
    if (t.offset != head().weight) {
      EXPECT_EQ(std::memcmp(seen, wanted, size * sizeof(float)), 0) << t.name;
      return;
    }
    float most = 0, worst = 0;
    for (std::size_t i = 0; i < size; ++i) {
      most = std::max(most, std::abs(wanted[i]));
      worst = std::max(worst, std::abs(seen[i] - wanted[i]));
    }
    EXPECT_LE(worst, 1e-6f * most);
  }

  const ModelConfig config_;
  const ParameterLayout layout_;
  std::vector<float> parameters_;
  const TokenBatch batch_;
};

/// The counted rows are few, all, one, none, and so many that they reach into a second chunk.
TEST(CountedRows, AloneGiveWhatAllRowsGive) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    ModelConfig config{2, 2, 24, 90, 700};
    config.tied_head = false;
    SomeTargets(config, packed(random_batch(3, 90, 700))).expect_same(precision);
    TokenBatch batch = random_batch(2, 50, 700);
    SomeTargets(config, batch).expect_same(precision);
    std::fill(batch.targets.begin() + 1, batch.targets.end(), kNotCounted);
    SomeTargets(config, batch).expect_same(precision);
    batch.targets[0] = kNotCounted;
    SomeTargets(config, batch).expect_same(precision);
  }
  ModelConfig large{1, 1, 4, 43, 262200};
  large.tied_head = false;
  TokenBatch batch = random_batch(3, 43, large.vocabulary);
  for (std::size_t i = 0; i < batch.targets.size(); i += 5) batch.targets[i] = kNotCounted;
  ASSERT_GT(batch.counted(), 80);
  SomeTargets(large, batch).expect_same(Precision::kFp32);
}

/// NaN weights of the head would show wherever logits are made.
TEST(CountedRows, CostNothingWhereThereAreNone) {
  ModelConfig config{1, 2, 16, 64, 700};
  config.tied_head = false;
  TokenBatch batch = random_batch(2, 64, 700);
  std::fill(batch.targets.begin(), batch.targets.end(), kNotCounted);
  SomeTargets none(config, batch);
  std::fill_n(none.parameters().begin() + none.head().weight, none.head().size(), NAN);
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    EXPECT_EQ(none.run(*none.runner(HeadRows::kCounted, Pass::kForward, precision)), 0.0);
    const auto runner = none.runner(HeadRows::kCounted, Pass::kTraining, precision);
    EXPECT_EQ(none.run(*runner), 0.0);
    for (const TensorEntry& t : none.layout().tensors()) {
      for (std::int64_t i = t.offset; i < t.offset + t.size; ++i) {
        ASSERT_EQ(runner->gradient[static_cast<std::size_t>(i)], 0.0f) << t.name;
      }
    }
  }
}

}  // namespace
}  // namespace cllm
