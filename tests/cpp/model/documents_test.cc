// A document of a shard has the same loss and leaves the same gradient whatever lies beside it in
// its sequence, bit for bit; and what has no counted target is not computed.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

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

/// NaN weights of the head would show wherever logits are made.
TEST(TargetsThatAreNotCounted, CostNoHead) {
  ModelConfig config{1, 2, 16, 64, 700};
  config.tied_head = false;
  const ParameterLayout layout(config);
  std::vector<float> parameters = lively_parameters(layout);
  const Linear& head = layout.network().head;
  std::fill_n(parameters.begin() + head.weight, head.size(), NAN);
  TokenBatch batch = random_batch(2, 64, 700);
  std::fill(batch.targets.begin(), batch.targets.end(), kNotCounted);
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    for (const Pass pass : {Pass::kTraining, Pass::kForward}) {
      ShardRunner runner(config, layout, 2, 64, kernels(), pass, precision);
      EXPECT_EQ(runner.run(parameters.data(), batch, false, 0.1), 0.0);
      if (pass == Pass::kForward) continue;
      for (const TensorEntry& t : layout.tensors()) {
        for (std::int64_t i = t.offset; i < t.offset + t.size; ++i) {
          ASSERT_EQ(runner.gradient[static_cast<std::size_t>(i)], 0.0f) << t.name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace cllm
