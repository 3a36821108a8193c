// Sampling filters keep what they should, frequencies follow the softmax, and the seed decides.
#include "model/sampling.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "cllm/error.h"

namespace cllm {
namespace {

constexpr int kDraws = 20000;

std::vector<int> histogram(const std::vector<float>& logits, const SamplingOptions& options) {
  std::vector<int> counts(logits.size());
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    ++counts[static_cast<std::size_t>(sample_token(logits, options, i))];
  }
  return counts;
}

std::set<std::size_t> drawn(const std::vector<float>& logits, const SamplingOptions& options) {
  std::set<std::size_t> tokens;
  const std::vector<int> counts = histogram(logits, options);
  for (std::size_t t = 0; t < counts.size(); ++t) {
    if (counts[t] > 0) tokens.insert(t);
  }
  return tokens;
}

/// Logits of the probabilities, moved by a constant as no softmax minds.
std::vector<float> logits_of(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p) + 20));
  return logits;
}

TEST(Sampling, FrequenciesFollowTheProbabilities) {
  const std::vector<double> p = {0.05, 0.5, 0.15, 0.3};
  for (const double temperature : {1.0, 0.5, 2.0}) {
    SamplingOptions options;
    options.temperature = temperature;
    const std::vector<int> counts = histogram(logits_of(p), options);
    double total = 0;
    for (const double q : p) total += std::pow(q, 1 / temperature);
    for (std::size_t t = 0; t < p.size(); ++t) {
      const double q = std::pow(p[t], 1 / temperature) / total;
      const double five_sigma = 5 * std::sqrt(kDraws * q * (1 - q));
      EXPECT_NEAR(counts[t], kDraws * q, five_sigma) << "token " << t << " at " << temperature;
    }
  }
}

TEST(Sampling, TemperatureZeroIsTheFirstOfTheLargest) {
  SamplingOptions options;
  options.temperature = 0;
  EXPECT_EQ(drawn({1, 3, 3, 2}, options), (std::set<std::size_t>{1}));
  options.temperature = 1e-300;
  EXPECT_EQ(drawn({1, 2, 3, 2}, options), (std::set<std::size_t>{2}));
}

TEST(Sampling, TopKKeepsTheMostLikely) {
  const std::vector<float> logits = logits_of({0.1, 0.4, 0.2, 0.3});
  SamplingOptions options;
  options.temperature = 1;
  const std::array<std::set<std::size_t>, 6> kept = {
      {{0, 1, 2, 3}, {1}, {1, 3}, {1, 2, 3}, {0, 1, 2, 3}, {0, 1, 2, 3}}};
  for (std::size_t k = 0; k < kept.size(); ++k) {
    options.top_k = static_cast<std::int64_t>(k);
    EXPECT_EQ(drawn(logits, options), kept[k]) << k;
  }
  options.top_k = 2;
  EXPECT_EQ(drawn({5, 5, 5, 5}, options), (std::set<std::size_t>{0, 1})) << "ties: the smaller";
}

TEST(Sampling, TopPKeepsTheFewestThatReachIt) {
  const std::vector<float> logits = logits_of({0.1, 0.4, 0.2, 0.3});
  SamplingOptions options;
  options.temperature = 1;
  const std::vector<std::pair<double, std::set<std::size_t>>> cases = {
      {1e-9, {1}},       {0.39, {1}},       {0.41, {1, 3}},       {0.69, {1, 3}},
      {0.71, {1, 2, 3}}, {0.89, {1, 2, 3}}, {0.91, {0, 1, 2, 3}}, {1.0, {0, 1, 2, 3}}};
  for (const auto& [p, kept] : cases) {
    options.top_p = p;
    EXPECT_EQ(drawn(logits, options), kept) << p;
  }
  // top_p counts the probabilities that top_k left: of {0.4, 0.3} the first has 0.57.
  options.top_k = 2;
  options.top_p = 0.55;
  EXPECT_EQ(drawn(logits, options), (std::set<std::size_t>{1}));
}

TEST(Sampling, SeedAndPositionDecideAlone) {
  const std::vector<float> logits(100, 0.0f);
  SamplingOptions options;
  const auto text = [&] {
    std::vector<std::int32_t> tokens;
    for (std::uint64_t i = 0; i < 50; ++i) tokens.push_back(sample_token(logits, options, i));
    return tokens;
  };
  const std::vector<std::int32_t> once = text();
  EXPECT_EQ(text(), once);
  options.seed = 7;
  EXPECT_NE(text(), once);
}

TEST(Sampling, InfinitiesAndNan) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  SamplingOptions options;
  EXPECT_EQ(drawn({-kInf, 1, -kInf}, options), (std::set<std::size_t>{1}));
  EXPECT_EQ(drawn({0, kInf, 0}, options), (std::set<std::size_t>{1}));
  const std::vector<float> bad = {0, std::nanf(""), 1};
  EXPECT_THROW(sample_token(bad, options, 0), Error);
}

TEST(Sampling, OptionsAreChecked) {
  const double nan = std::nan("");
  for (const double temperature : {-0.1, nan, std::numeric_limits<double>::infinity()}) {
    SamplingOptions options;
    options.temperature = temperature;
    EXPECT_THROW(check(options), InputError) << temperature;
  }
  for (const double top_p : {-0.5, 0.0, 1.5, nan}) {
    SamplingOptions options;
    options.top_p = top_p;
    EXPECT_THROW(check(options), InputError) << top_p;
  }
  SamplingOptions options;
  EXPECT_NO_THROW(check(options));
  options.top_k = -1;
  EXPECT_THROW(check(options), InputError);
}

}  // namespace
}  // namespace cllm
