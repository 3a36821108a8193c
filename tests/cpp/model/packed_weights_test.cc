// A pass that reads packed weights gives the bits of one whose tiles pack their own, in every
// instruction set and both precisions. A forward pass needs no more than what is packed for it.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>

#include "isa_test.h"
#include "shard_runner.h"

namespace cllm {
namespace {

/// Odd widths leave pairs of bf16 without a second, and panels with few columns; so do the halves
/// of a gate's weight. The last ones have halves of several tiles, and heads that do not end with a
/// panel.
std::vector<ModelConfig> models() {
  std::vector<ModelConfig> all = {{2, 3, 33, 9, 11}, {2, 2, 64, 9, 65}, {2, 2, 136, 9, 131},
                                  {2, 2, 24, 9, 31}, {1, 4, 64, 9, 11}, {1, 3, 258, 9, 11}};
  for (std::size_t i = 3; i < all.size(); ++i) {
    all[i].family = i == 4 ? Family::kQwen3 : Family::kLlama;
    all[i].kv_heads = 1;
    all[i].tied_head = i > 3;
  }
  all[3].hidden_dim = 37;
  all[4].hidden_dim = 1;
  all[5].hidden_dim = 531;
  return all;
}

class PackedWeightsTest : public IsaTest {
 protected:
  template <class Check>
  void for_all(Check check) {
    for (const ModelConfig& config : models()) {
      for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
        SCOPED_TRACE(std::string(family_name(config.family)) + " of width " +
                     std::to_string(config.width) + " " + precision_name(precision));
        const ParameterLayout layout(config);
        check(config, layout, lively_parameters(layout), precision);
      }
    }
  }
};

TEST_P(PackedWeightsTest, AStepGivesTheSameBits) {
  for_all([&](const ModelConfig& config, const ParameterLayout& layout,
              const std::vector<float>& parameters, Precision precision) {
    const TokenBatch batch = random_batch(3, 9, config.vocabulary);
    ShardRunner own(config, layout, 3, 9, *table_, Pass::kTraining, precision);
    ShardRunner packed(config, layout, 3, 9, *table_, Pass::kTraining, precision);
    PackedWeights weights(layout, precision);
    for (std::int32_t tile = weights.tiles(); tile-- > 0;) {
      weights.pack(tile, Pass::kTraining, parameters.data() + weights.weight_of(tile), *table_);
    }
    packed.packed = &weights;
    const double loss = own.run(parameters.data(), batch, false, 0.25);
    EXPECT_EQ(packed.run(parameters.data(), batch, false, 0.25), loss);
    EXPECT_EQ(std::memcmp(packed.gradient.data(), own.gradient.data(), own.gradient.bytes()), 0);
  });
}

TEST_P(PackedWeightsTest, AForwardPassReadsWhatIsPackedForIt) {
  for_all([&](const ModelConfig& config, const ParameterLayout& layout,
              const std::vector<float>& parameters, Precision precision) {
    const TokenBatch batch = random_batch(3, 9, config.vocabulary);
    ShardRunner own(config, layout, 3, 9, *table_, Pass::kForward, precision);
    ShardRunner packed(config, layout, 3, 9, *table_, Pass::kForward, precision);
    PackedWeights weights(layout, precision);
    for (std::int32_t tile = 0; tile < weights.tiles(); ++tile) {
      weights.pack(tile, Pass::kForward, parameters.data() + weights.weight_of(tile), *table_);
    }
    packed.packed = &weights;
    EXPECT_EQ(packed.run(parameters.data(), batch, false, 1.0),
              own.run(parameters.data(), batch, false, 1.0));
  });
}

CLLM_IN_EVERY_ISA(PackedWeightsTest);

TEST(PackedWeights, TheMemoryPlanKnowsTheirSize) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    const ModelConfig config = models()[3];
    const ParameterLayout layout(config);
    EXPECT_EQ(PackedWeights(layout, precision).bytes(),
              PackedWeights::bytes_for(layout, precision));
  }
}

TEST(PackedWeights, FewRowsAndHugeModelsDoNotPay) {
  ModelConfig config = models()[1];
  const ParameterLayout small(config);
  EXPECT_TRUE(PackedWeights::pays(small, Precision::kFp32, 4096));
  EXPECT_FALSE(PackedWeights::pays(small, Precision::kFp32, 128));
  config.vocabulary = 4 << 20;
  EXPECT_FALSE(PackedWeights::pays(ParameterLayout(config), Precision::kFp32, 4096));
}

TEST(PackedWeights, FrozenOnesMayBeFourTimesAsLarge) {
  ModelConfig config = models()[1];
  const auto pays = [&config](std::int64_t vocabulary, const std::optional<LoraConfig>& lora) {
    config.vocabulary = vocabulary;
    return PackedWeights::pays(ParameterLayout(config, false, lora), Precision::kFp32, 4096);
  };
  const std::int64_t row = 2 * 4 * config.width;  // bytes, packed both ways
  const std::int64_t limit = (512 << 20) / row;
  EXPECT_FALSE(pays(limit, std::nullopt));
  EXPECT_TRUE(pays(limit, LoraConfig()));
  EXPECT_FALSE(pays(4 * limit, LoraConfig()));
}

}  // namespace
}  // namespace cllm
