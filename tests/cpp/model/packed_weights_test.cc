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

struct Shape {
  std::int64_t width, heads, vocabulary;
};
// Odd widths leave pairs of bf16 without a second, and panels with few columns.
constexpr Shape kShapes[] = {{33, 3, 11}, {64, 2, 65}, {136, 2, 131}};

ModelConfig model_of(const Shape& shape) {
  return {2, shape.heads, shape.width, 9, shape.vocabulary};
}

class PackedWeightsTest : public IsaTest {
 protected:
  template <class Check>
  void for_all(Check check) {
    for (const Shape& shape : kShapes) {
      for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
        SCOPED_TRACE("width " + std::to_string(shape.width) + " " + precision_name(precision));
        const ModelConfig config = model_of(shape);
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
      weights.pack(tile, Pass::kTraining, parameters.data(), *table_);
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
      weights.pack(tile, Pass::kForward, parameters.data(), *table_);
    }
    packed.packed = &weights;
    EXPECT_EQ(packed.run(parameters.data(), batch, false, 1.0),
              own.run(parameters.data(), batch, false, 1.0));
  });
}

CLLM_IN_EVERY_ISA(PackedWeightsTest);

TEST(PackedWeights, TheMemoryPlanKnowsTheirSize) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    const ModelConfig config = model_of(kShapes[0]);
    const ParameterLayout layout(config);
    EXPECT_EQ(PackedWeights(layout, precision).bytes(),
              PackedWeights::bytes_for(layout, precision));
  }
}

TEST(PackedWeights, FewRowsAndHugeModelsDoNotPay) {
  ModelConfig config = model_of(kShapes[1]);
  const ParameterLayout small(config);
  EXPECT_TRUE(PackedWeights::pays(small, Precision::kFp32, 4096));
  EXPECT_FALSE(PackedWeights::pays(small, Precision::kFp32, 128));
  config.vocabulary = 4 << 20;
  EXPECT_FALSE(PackedWeights::pays(ParameterLayout(config), Precision::kFp32, 4096));
}

}  // namespace
}  // namespace cllm
