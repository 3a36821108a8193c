// Decoding with a cache is compared with a forward pass from scratch in double.
#include "model/inference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "base/rng.h"
#include "cllm/error.h"
#include "gemm/gemm.h"
#include "limited_child.h"
#include "model/adapters.h"
#include "model_reference.h"

namespace cllm {
namespace {

using Vector = std::vector<double>;
using Tokens = std::vector<std::int32_t>;

/// Reads all tokens anew and returns the logits of the last one.
class Reference {
 public:
  Reference(const ModelConfig& config, const ParameterLayout& layout, const float* parameters)
      : config_(config), layout_(layout), parameters_(parameters) {}

  Vector logits(const Tokens& tokens) const {
    const TokenBatch batch{1, static_cast<std::int64_t>(tokens.size()), tokens, tokens};
    const Vector all = ModelReference(config_, layout_, parameters_, batch).logits();
    return {all.end() - static_cast<std::ptrdiff_t>(config_.vocabulary), all.end()};
  }

 private:
  const ModelConfig config_;
  const ParameterLayout& layout_;
  const float* const parameters_;
};

ModelConfig config_of(std::int64_t layers, std::int64_t heads, std::int64_t width,
                      std::int64_t positions, std::int64_t vocabulary) {
  return {layers, heads, width, positions, vocabulary};
}

/// Weights large enough that attention is sharp and every part of the model moves the logits.
std::vector<float> random_parameters(const ParameterLayout& layout) {
  std::vector<float> values(static_cast<std::size_t>(layout.flat_size()));
  for (std::size_t n = 0; n < values.size(); ++n) {
    values[n] =
        static_cast<float>(0.4 * normal_pair(random_block(3, RandomStream::kTest, 0, n))[0]);
  }
  return values;
}

Tokens some_tokens(std::int64_t count, std::int64_t vocabulary) {
  Tokens tokens;
  for (std::int64_t n = 0; n < count; ++n) {
    const RandomBlock random =
        random_block(4, RandomStream::kTest, 1, static_cast<std::uint64_t>(n));
    tokens.push_back(static_cast<std::int32_t>(
        uniform_below(random_bits64(random, 0), static_cast<std::uint64_t>(vocabulary))));
  }
  return tokens;
}

void expect_close(Span<const float> seen, const Vector& wanted, const std::string& what) {
  ASSERT_EQ(seen.size(), wanted.size());
  double scale = 0, worst = 0;
  for (std::size_t n = 0; n < wanted.size(); ++n) {
    scale = std::max(scale, std::abs(wanted[n]));
    worst = std::max(worst, std::abs(static_cast<double>(seen[n]) - wanted[n]));
  }
  EXPECT_LT(worst, 2e-5 * scale) << what;
  EXPECT_GT(scale, 0.1) << what;
}

struct Fixture {
  explicit Fixture(const ModelConfig& config) : Fixture(config, config.context) {}
  Fixture(const ModelConfig& config, std::int64_t most)
      : layout(config),
        parameters(random_parameters(layout)),
        gemm(make_gemm(GemmBackend::kNative, kernels())),
        generator(config, layout, parameters.data(), *gemm, kernels(), most),
        reference(config, layout, parameters.data()) {}

  const ParameterLayout layout;
  const std::vector<float> parameters;
  const std::unique_ptr<Gemm> gemm;
  Generator generator;
  const Reference reference;
};

TEST(Generator, StepsGiveTheLogitsOfAFreshForward) {
  const ModelConfig config = config_of(3, 3, 21, 12, 29);
  Fixture f(config);
  const Tokens tokens = some_tokens(12, config.vocabulary);
  for (std::size_t n = 1; n <= tokens.size(); ++n) {
    const Tokens so_far(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(n));
    const auto logits = n == 1 ? f.generator.prefill(so_far) : f.generator.step(tokens[n - 1]);
    expect_close(logits, f.reference.logits(so_far), "token " + std::to_string(n));
  }
}

ModelConfig family_of(Family family, std::int64_t heads, std::int64_t kv_heads) {
  ModelConfig config = config_of(2, heads, 24, 12, 29);
  config.family = family;
  config.kv_heads = kv_heads;
  return config;
}

TEST(Generator, EveryFamilyDecodes) {
  std::vector<ModelConfig> models = {
      family_of(Family::kLlama, 4, 2), family_of(Family::kQwen2, 3, 1),
      family_of(Family::kQwen3, 2, 2), family_of(Family::kGpt2, 3, 3),
      family_of(Family::kGpt2, 2, 2)};
  models[0].tied_head = false;
  models[0].hidden_dim = 37;
  models[0].rope_scaling = Llama3Scaling{8, 1, 4, 16};
  models[2].head_dim = 16;
  models[3].activation_kind = Activation::kGelu;
  models[3].hidden_dim = 50;
  models[4].activation_kind = Activation::kRelu;
  models[4].scale_by_layer = true;
  for (const ModelConfig& config : models) {
    SCOPED_TRACE(std::string(family_name(config.family)) + " " +
                 activation_name(config.activation()));
    Fixture f(config);
    Tokens window;
    for (const std::int32_t token : some_tokens(15, config.vocabulary)) {
      if (window.size() == 12) window.erase(window.begin(), window.end() - 6);
      window.push_back(token);
      const auto logits =
          window.size() == 1 ? f.generator.prefill(window) : f.generator.step(token);
      expect_close(logits, f.reference.logits(window), "token");
    }
  }
}

TEST(Generator, AdaptersActAsTheWeightsThatTheyAreMergedInto) {
  for (const ModelConfig& config : {family_of(Family::kLlama, 4, 2), family_of(Family::kGpt2, 3, 3),
                                    family_of(Family::kQwen3, 2, 1)}) {
    SCOPED_TRACE(family_name(config.family));
    LoraConfig lora;
    lora.rank = 3;
    const ParameterLayout layout(config, false, lora);
    const std::vector<float> parameters = random_parameters(layout);
    std::vector<float> adapters(static_cast<std::size_t>(layout.trainables().flat_size()));
    for (std::size_t n = 0; n < adapters.size(); ++n) {
      adapters[n] =
          static_cast<float>(0.3 * normal_pair(random_block(6, RandomStream::kTest, 0, n))[0]);
    }
    std::vector<float> merged = parameters;
    merge_adapters(layout, adapters.data(), merged.data());
    const std::unique_ptr<Gemm> gemm = make_gemm(GemmBackend::kNative, kernels());
    Generator generator(config, layout, parameters.data(), *gemm, kernels(), config.context,
                        adapters.data());
    const ParameterLayout plain(config);
    const Reference reference(config, plain, merged.data()), base(config, plain, parameters.data());
    const Tokens tokens = some_tokens(9, config.vocabulary);
    const Tokens start(tokens.begin(), tokens.begin() + 6);
    expect_close(generator.prefill(start), reference.logits(start), "prompt");
    for (std::size_t n = 6; n < tokens.size(); ++n) {
      const Tokens so_far(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(n) + 1);
      expect_close(generator.step(tokens[n]), reference.logits(so_far), "step");
    }
    const Vector with = reference.logits(tokens), without = base.logits(tokens);
    EXPECT_GT(std::abs(with[0] - without[0]), 1e-3) << "the adapters were not negligible";
  }
}

TEST(Generator, PrefillCrossesChunks) {
  const ModelConfig config = config_of(2, 2, 16, 140, 31);
  Fixture f(config);
  const Tokens tokens = some_tokens(140, config.vocabulary);
  for (const std::ptrdiff_t n : {63, 64, 65, 128, 129, 139}) {
    expect_close(f.generator.prefill(Tokens(tokens.begin(), tokens.begin() + n)),
                 f.reference.logits(Tokens(tokens.begin(), tokens.begin() + n)),
                 "prompt of " + std::to_string(n));
    expect_close(f.generator.step(tokens[static_cast<std::size_t>(n)]),
                 f.reference.logits(Tokens(tokens.begin(), tokens.begin() + n + 1)),
                 "step behind " + std::to_string(n));
  }
}

TEST(Generator, ReadingOnGivesTheLogitsOfAFreshForward) {
  const ModelConfig config = config_of(2, 2, 16, 140, 31);
  Fixture f(config);
  const Tokens all = some_tokens(140, config.vocabulary);
  Tokens other(all.begin(), all.begin() + 100);
  other[70] = (other[70] + 1) % 31;
  const auto first = [&all](std::ptrdiff_t n) { return Tokens(all.begin(), all.begin() + n); };
  // Longer, the same, a part of it, another text from its middle on, and another from the begin.
  for (const Tokens& text : {first(5), first(90), first(90), first(40), other, some_tokens(3, 7)}) {
    expect_close(f.generator.read_on(text), f.reference.logits(text),
                 std::to_string(text.size()) + " tokens");
    EXPECT_EQ(f.generator.context(), static_cast<std::int64_t>(text.size()));
  }
  // What was read token by token counts too, also after the window has slid.
  f.generator.read_on(first(139));
  f.generator.step(all[139]);
  f.generator.step(3);  // tokens 70 to 139, and this one
  Tokens slid(all.end() - 70, all.end());
  slid.insert(slid.end(), {3, 5});
  expect_close(f.generator.read_on(slid), f.reference.logits(slid), "after a slide");
  const Tokens long_text = some_tokens(200, config.vocabulary);
  expect_close(f.generator.read_on(long_text),
               f.reference.logits(Tokens(long_text.end() - 140, long_text.end())), "too long");
  EXPECT_THROW(f.generator.read_on(Tokens{}), InputError);
  EXPECT_THROW(f.generator.read_on(Tokens{31}), InputError);
}

TEST(Generator, SlidesToTheLastHalfWindow) {
  const ModelConfig config = config_of(2, 2, 8, 7, 19);
  Fixture f(config);
  const Tokens tokens = some_tokens(30, config.vocabulary);
  Tokens window;
  for (std::size_t n = 0; n < tokens.size(); ++n) {
    if (window.size() == 7) window.erase(window.begin(), window.end() - 3);
    window.push_back(tokens[n]);
    const auto logits = n == 0 ? f.generator.prefill(window) : f.generator.step(tokens[n]);
    expect_close(logits, f.reference.logits(window), "token " + std::to_string(n));
    EXPECT_EQ(f.generator.context(), static_cast<std::int64_t>(window.size()));
  }
  // A prompt longer than the window: its end counts.
  expect_close(f.generator.prefill(tokens),
               f.reference.logits(Tokens(tokens.end() - 7, tokens.end())), "long prompt");
}

TEST(Generator, RoomForAsManyTokensAsComeIsEnough) {
  for (const std::int64_t most : {1, 9, 70, 139}) {
    const ModelConfig config = config_of(2, 2, 16, 140, 31);
    Fixture all(config), few(config, most);
    const Tokens tokens = some_tokens(most, config.vocabulary);
    const Tokens start(tokens.begin(), tokens.begin() + (most + 1) / 2);
    all.generator.prefill(start);
    few.generator.prefill(start);
    for (std::size_t n = start.size(); n < tokens.size(); ++n) {
      const Span<const float> wanted = all.generator.step(tokens[n]);
      const Span<const float> seen = few.generator.step(tokens[n]);
      EXPECT_TRUE(std::equal(seen.begin(), seen.end(), wanted.begin())) << "token " << n;
    }
    EXPECT_THROW(few.generator.prefill(some_tokens(most + 1, config.vocabulary)), Error);
    const Span<const float> whole = few.generator.prefill(tokens);
    expect_close(whole, all.reference.logits(tokens), "all of " + std::to_string(most));
    EXPECT_THROW(few.generator.step(tokens[0]), Error);
    EXPECT_EQ(few.generator.context(), most) << "an error changes nothing";
  }
}

TEST(Generator, ALongContextTakesNoMemoryThatAShortTextDoesNotNeed) {
  ModelConfig config = family_of(Family::kLlama, 4, 4);
  config.context = std::int64_t{1} << 24;
  const std::string said = say_in_child([&](const SayLine& say) {
    Fixture f(config, 3);  // 6 GiB for all of the context
    f.generator.prefill(Tokens{1, 2});
    expect_close(f.generator.step(4), f.reference.logits({1, 2, 4}), "two and one");
    say(testing::Test::HasFailure() ? "wrong" : "right");
  });
  EXPECT_EQ(said, "right\n");
}

TEST(Generator, OnePositionWorks) {
  const ModelConfig config = config_of(1, 1, 4, 1, 5);
  Fixture f(config);
  f.generator.prefill(Tokens{3});
  expect_close(f.generator.step(2), f.reference.logits({2}), "no memory at all");
}

TEST(Generator, RefusesTokensOutsideTheVocabularyAndStaysUsable) {
  const ModelConfig config = config_of(1, 2, 8, 6, 11);
  Fixture f(config);
  EXPECT_THROW(f.generator.prefill(Tokens{}), InputError);
  EXPECT_THROW(f.generator.prefill(Tokens{1, 11}), InputError);
  f.generator.prefill(Tokens{1, 10});
  EXPECT_THROW(f.generator.step(-1), InputError);
  expect_close(f.generator.step(4), f.reference.logits({1, 10, 4}), "after an error");
}

}  // namespace
}  // namespace cllm
