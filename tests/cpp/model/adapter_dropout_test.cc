// Adapters with dropout: forward, backward and recomputed passes drop the same elements.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "adapter_case.h"
#include "cpu/features.h"
#include "dropout_reference.h"
#include "sanitized.h"

namespace cllm {
namespace {

/// Adapters with dropout, in a model that drops as well and in one that does not.
class AdapterDropout : public testing::TestWithParam<AdapterCase> {
 protected:
  /// Returns the mean loss with these adapters; the gradient is left in the runner.
  double loss(ShardRunner& runner, const std::vector<float>& adapters,
              TileOrder order = TileOrder::kForward) const {
    runner.adapters = adapters.data();
    runner.dropout = &plain_.source;
    return run_shards(GetParam().model, plain_, runner, order);
  }
  ShardRunner runner(Pass pass = Pass::kTraining, Precision precision = Precision::kFp32) const {
    return ShardRunner(plain_.config, layout_, GetParam().model.shards.front(),
                       GetParam().model.length, kernels(), pass, precision);
  }

  const Wanted plain_{GetParam().model};
  const ParameterLayout layout_{plain_.config, false, GetParam().lora};
  const std::vector<float> adapters_ = lively_adapters(layout_);
};

// Along the gradient of a tensor the slope of the loss is its length.
TEST_P(AdapterDropout, GradientsPassFiniteDifferences) {
  ShardRunner training = runner(), moving = runner();
  loss(training, adapters_);
  for (const TensorEntry& t : layout_.trainables().tensors()) {
    double squares = 0;
    for (std::int64_t i = t.offset; i < t.offset + t.size; ++i) {
      const double g{training.gradient[static_cast<std::size_t>(i)]};
      squares += g * g;
    }
    const double length = std::sqrt(squares), step = 0.02;
    const auto moved = [&](double by) {
      std::vector<float> adapters = adapters_;
      for (std::int64_t i = t.offset; i < t.offset + t.size; ++i) {
        const auto at = static_cast<std::size_t>(i);
        adapters[at] += static_cast<float>(by / length * double{training.gradient[at]});
      }
      return loss(moving, adapters);
    };
    EXPECT_NEAR((moved(step) - moved(-step)) / (2 * step), length, 0.02 * length + 1e-4) << t.name;
  }
}

TEST_P(AdapterDropout, DrawsTheSameBitsAgain) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    ShardRunner first = runner(Pass::kTraining, precision);
    const double wanted = loss(first, adapters_);
    for (const Pass pass : {Pass::kTraining, Pass::kRecomputing}) {
      ShardRunner other = runner(pass, precision);
      for (const TileOrder order : {TileOrder::kReversed, TileOrder::kShuffled}) {
        EXPECT_EQ(loss(other, adapters_, order), wanted);
        for (const TensorEntry& t : layout_.trainables().tensors()) {
          EXPECT_EQ(std::memcmp(other.gradient.data() + t.offset, first.gradient.data() + t.offset,
                                static_cast<std::size_t>(t.size) * sizeof(float)),
                    0)
              << t.name;
        }
      }
    }
  }
}

// What layer 0 left for its last linear map is what it read, element by element after dropout.
TEST_P(AdapterDropout, TakesWhatItSays) {
  ShardRunner runner = this->runner();
  loss(runner, adapters_);
  const auto site = site_index(LinearSite::kOutput);
  const std::int64_t F = layout_.layer(0).linears[site].inputs, T = GetParam().model.length;
  const std::int64_t sequences = GetParam().model.shards.back();
  const std::int64_t first = plain_.batch.sequences - sequences;
  const Operands<float>& operands = runner.workspace.operands<float>();
  std::int64_t dropped = 0;
  for (std::int64_t s = 0; s < sequences; ++s) {
    const Dropout dropout =
        dropout_of(plain_.source, first + s, GetParam().lora.dropout, DropoutSite::kAdapter, 0,
                   static_cast<std::int64_t>(site) + 1);
    for (std::int64_t t = 0; t < T; ++t) {
      for (std::int64_t i = 0; i < F; ++i) {
        const std::int64_t at = (s * T + t) * F + i;
        const double wanted =
            double{operands.layers[0].activated[at]} * reference_factor(dropout, t, i);
        ASSERT_NEAR(operands.dropped[site][at], wanted, 1e-6 * std::abs(wanted));
        dropped += reference_keeps(dropout, t, i) ? 0 : 1;
      }
    }
  }
  const auto all = static_cast<double>(sequences * T * F);
  EXPECT_NEAR(static_cast<double>(dropped) / all, GetParam().lora.dropout, 4 / std::sqrt(all));
}

std::vector<AdapterCase> dropout_cases() {
  std::vector<AdapterCase> cases;
  for (const AdapterCase& c : adapter_cases()) {
    const std::string& name = c.model.name;
    if (name != "Gpt2Dropout" && name != "Gpt2Wide" && name != "Llama" && name != "Qwen3Wide")
      continue;
    cases.push_back(c);
    cases.back().lora.dropout = 0.25;
    if (name == "Gpt2Wide") cases.back().lora.rank = 7;
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Shapes, AdapterDropout,
                         testing::ValuesIn(fewer_if_sanitized(dropout_cases())),
                         [](const auto& test) { return test.param.model.name; });

}  // namespace
}  // namespace cllm
