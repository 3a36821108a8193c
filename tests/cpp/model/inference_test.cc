// Decoding with a cache is compared with a forward pass from scratch in double.
#include "model/inference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "base/rng.h"
#include "cllm/error.h"
#include "gemm/gemm.h"

namespace cllm {
namespace {

using Vector = std::vector<double>;
using Tokens = std::vector<std::int32_t>;

/// GPT-2 by the book: plain loops, every row anew, all in double. Logits of the last token.
class Reference {
 public:
  Reference(const ModelConfig& config, const ParameterLayout& layout, const float* parameters)
      : config_(config), layout_(layout), p_(parameters) {}

  Vector logits(const Tokens& tokens) const {
    const std::int64_t C = config_.width, n = static_cast<std::int64_t>(tokens.size());
    std::vector<Vector> x;
    for (std::int64_t t = 0; t < n; ++t) {
      Vector row;
      for (std::int64_t c = 0; c < C; ++c) {
        row.push_back(at(layout_.token_embedding() + tokens[static_cast<std::size_t>(t)] * C + c) +
                      at(layout_.position_embedding() + t * C + c));
      }
      x.push_back(row);
    }
    for (std::int64_t l = 0; l < config_.layers; ++l) layer(layout_.layer(l), x);
    const Vector last = norm(x.back(), layout_.final_norm().weight, layout_.final_norm().bias);
    Vector out;
    for (std::int64_t v = 0; v < config_.vocabulary; ++v) {
      double sum = 0;
      for (std::int64_t c = 0; c < C; ++c)
        sum += last[i(c)] * at(layout_.token_embedding() + v * C + c);
      out.push_back(sum);
    }
    return out;
  }

 private:
  static std::size_t i(std::int64_t index) { return static_cast<std::size_t>(index); }
  double at(std::int64_t offset) const { return static_cast<double>(p_[offset]); }

  Vector norm(const Vector& x, std::int64_t weight, std::int64_t bias) const {
    double mean = 0, variance = 0;
    for (const double v : x) mean += v / static_cast<double>(x.size());
    for (const double v : x) variance += (v - mean) * (v - mean) / static_cast<double>(x.size());
    Vector out;
    for (std::size_t c = 0; c < x.size(); ++c) {
      const auto o = static_cast<std::int64_t>(c);
      out.push_back((x[c] - mean) / std::sqrt(variance + 1e-5) * at(weight + o) + at(bias + o));
    }
    return out;
  }

  /// x W + b, W[in, out]
  Vector linear(const Vector& x, std::int64_t weight, std::int64_t bias, std::int64_t out) const {
    Vector y;
    for (std::int64_t o = 0; o < out; ++o) {
      double sum = at(bias + o);
      for (std::size_t c = 0; c < x.size(); ++c) {
        sum += x[c] * at(weight + static_cast<std::int64_t>(c) * out + o);
      }
      y.push_back(sum);
    }
    return y;
  }

  void layer(const NetworkLayer& o, std::vector<Vector>& x) const {
    const std::int64_t C = config_.width, D = config_.head_width();
    std::vector<Vector> qkv;
    for (const Vector& row : x) {
      qkv.push_back(linear(norm(row, o.norm1.weight, o.norm1.bias),
                           o.linear(LinearSite::kQkv).weight, o.linear(LinearSite::kQkv).bias,
                           3 * C));
    }
    for (std::size_t t = 0; t < x.size(); ++t) {
      Vector mixed(i(C));
      for (std::int64_t h = 0; h < config_.heads; ++h) {
        Vector weights;
        double total = 0;
        for (std::size_t s = 0; s <= t; ++s) {
          double score = 0;
          for (std::int64_t d = h * D; d < (h + 1) * D; ++d)
            score += qkv[t][i(d)] * qkv[s][i(C + d)];
          weights.push_back(std::exp(score / std::sqrt(static_cast<double>(D))));
          total += weights.back();
        }
        for (std::size_t s = 0; s <= t; ++s) {
          for (std::int64_t d = h * D; d < (h + 1) * D; ++d) {
            mixed[i(d)] += weights[s] / total * qkv[s][i(2 * C + d)];
          }
        }
      }
      const Vector projected = linear(mixed, o.linear(LinearSite::kProjection).weight,
                                      o.linear(LinearSite::kProjection).bias, C);
      for (std::int64_t c = 0; c < C; ++c) x[t][i(c)] += projected[i(c)];
      Vector hidden =
          linear(norm(x[t], o.norm2.weight, o.norm2.bias), o.linear(LinearSite::kHidden).weight,
                 o.linear(LinearSite::kHidden).bias, 4 * C);
      for (double& v : hidden) {
        v *= 0.5 * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
      }
      const Vector out = linear(hidden, o.linear(LinearSite::kOutput).weight,
                                o.linear(LinearSite::kOutput).bias, C);
      for (std::int64_t c = 0; c < C; ++c) x[t][i(c)] += out[i(c)];
    }
  }

  const ModelConfig config_;
  const ParameterLayout& layout_;
  const float* const p_;
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
  explicit Fixture(const ModelConfig& config)
      : layout(config),
        parameters(random_parameters(layout)),
        gemm(make_gemm(GemmBackend::kNative, kernels())),
        generator(config, layout, parameters.data(), *gemm, kernels()),
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
