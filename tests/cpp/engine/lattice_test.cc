// Coupled tokens: coefficients that stay 0 change no bit, gradients pass finite differences through
// whole models, and every order gives one answer on every tree.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "engine/memory_plan.h"
#include "engine/model_runner.h"
#include "one_answer.h"
#include "sanitized.h"

namespace cllm {
namespace {

/// Trains a case for some steps and returns parameters and moments of the model without its
/// coefficients.
std::vector<float> train(const TrainingCase& c, bool lattice, double rate, bool pack) {
  SessionConfig config = session_config(c, 4);
  config.lattice = lattice;
  config.adamw.lattice_rate = rate;
  config.pack_always = pack;
  config.clip = 0.5;  // so that the norm counts
  Session session(config);
  ModelState& state = session.state();
  start_weights(state);
  const TextBatches text(c);
  std::vector<std::int32_t> inputs, targets;
  for (int step = 0; step < 5; ++step) {
    text.fill(step, inputs, targets);
    EXPECT_FALSE(session.step(step, {inputs.data(), targets.data()}).skipped);
  }
  const std::int64_t size = ParameterLayout(config.model).flat_size();
  std::vector<float> all = trained_weights(state);
  all.resize(static_cast<std::size_t>(size));
  for (const AlignedBuffer<float>& moment : state.optimizer_state) {
    all.insert(all.end(), moment.data(), moment.data() + size);
  }
  return all;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(Lattice, CoefficientsThatStayZeroChangeNoBit) {
  const Watchdog watchdog("frozen coefficients", std::chrono::seconds(250));
  for (const TrainingCase& c : fewer_if_sanitized(training_cases())) {
    for (const bool pack : {true, false}) {
      SCOPED_TRACE(c.name + (pack ? ", packed" : ""));
      const std::vector<float> alone = train(c, false, 1, pack);
      EXPECT_TRUE(same_bits(train(c, true, 0, pack), alone));
      EXPECT_FALSE(same_bits(train(c, true, 1, pack), alone)) << "coefficients that learn show";
    }
  }
}

/// A small coupled model with random weights, on fixed tokens.
class CoupledModel {
 public:
  explicit CoupledModel(int order)
      : state_(config(order), 0, Precision::kFp32, true), runner_(state_, 2) {
    start_weights(state_);
    std::mt19937 random(5);
    std::uniform_real_distribution<float> number(-0.3f, 0.3f);
    for (std::int64_t d = 0; d < order; ++d) w()[d] = number(random);
    for (std::size_t i = 0; i < state_.lattice->embedding().size(); ++i) embedding()[i] *= 20;
    for (std::int32_t& token : tokens_) token = static_cast<std::int32_t>(random() % 23);
  }

  double loss() { return run().loss; }
  /// Makes all gradients and returns that of the coefficients.
  std::vector<float> gradient() {
    const float* const flat = run().values;
    const float* const dw = flat + state_.layout.coupling();
    return {dw, dw + state_.config.symmetry_order};
  }
  const AlignedBuffer<float>& embedding_gradient() const { return state_.lattice->gradient(); }
  float* w() { return state_.parameters.data() + state_.layout.coupling(); }
  float* embedding() { return state_.embedding(); }

  /// The slope of the loss when the numbers `x` go along `direction`, which is scaled to length 1.
  double slope(float* x, std::vector<float> direction) {
    double length = 0;
    for (const float d : direction) length += static_cast<double>(d) * static_cast<double>(d);
    const std::vector<float> kept(x, x + direction.size());
    const double step = 0.02 / std::sqrt(length);
    double loss[2];
    for (const int side : {0, 1}) {
      for (std::size_t i = 0; i < direction.size(); ++i) {
        x[i] = static_cast<float>(static_cast<double>(kept[i]) +
                                  (side == 0 ? -step : step) * static_cast<double>(direction[i]));
      }
      loss[side] = this->loss();
    }
    std::copy(kept.begin(), kept.end(), x);
    return (loss[1] - loss[0]) / (2 * step);
  }

 private:
  static ModelConfig config(int order) {
    ModelConfig model{2, 2, 16, 12, 23};
    model.symmetry_order = order;
    return model;
  }
  ModelRunner::Gradient run() { return runner_.gradient({tokens_, tokens_ + 1}, 3, 12); }

  ModelState state_;
  ModelRunner runner_;
  std::int32_t tokens_[37];
};

// Along the gradient the slope is its squared length, and a slip in one element shows in that of
// another direction.
TEST(Lattice, GradientsPassFiniteDifferencesThroughTheModel) {
  for (const int order : {1, 2, 5, 6, 12, 24}) {
    SCOPED_TRACE("order " + std::to_string(order));
    CoupledModel model(order);
    const std::vector<float> dw = model.gradient();
    const AlignedBuffer<float>& dE = model.embedding_gradient();
    const std::vector<float> embedding(dE.data(), dE.data() + dE.size());
    const auto product = [](const std::vector<float>& a, const std::vector<float>& b) {
      double sum = 0;
      for (std::size_t i = 0; i < a.size(); ++i) {
        sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
      }
      return sum;
    };
    const auto expect_slope = [&](float* x, const std::vector<float>& gradient,
                                  const std::vector<float>& direction, const char* what) {
      const double wanted = product(gradient, direction);
      const double size = std::sqrt(product(gradient, gradient) * product(direction, direction));
      EXPECT_NEAR(model.slope(x, direction), wanted, 0.01 * size) << what;
    };
    expect_slope(model.w(), dw, dw, "w");
    expect_slope(model.embedding(), embedding, embedding, "E");
    for (std::size_t d = 0; d < dw.size(); ++d) {
      std::vector<float> one(dw.size(), 0.0f);
      one[d] = 1;
      expect_slope(model.w(), dw, one, "a coefficient");
    }
    for (std::size_t token = 0; token < 23; token += 5) {
      std::vector<float> row(embedding.size(), 0.0f);
      std::copy_n(embedding.begin() + static_cast<std::ptrdiff_t>(token * 16), 16,
                  row.begin() + static_cast<std::ptrdiff_t>(token * 16));
      expect_slope(model.embedding(), embedding, row, "a token");
    }
  }
}

class LatticeOrder : public testing::TestWithParam<int> {};

TEST_P(LatticeOrder, OneAnswerOnEveryTree) {
  const TrainingCase c = {
      "Order",       1, 2, 24,   16,        41, 9, std::min(GetParam(), 3), Precision::kBf16, 0,
      Family::kGpt2, 0, 0, true, GetParam()};
  std::vector<std::int64_t> threads;
  for (const std::int64_t workers : {1, 2, 3, 7, 13}) {
    threads.push_back(threads_for_workers(workers, GetParam()));
  }
  expect_one_answer(c, 6, threads);
}

INSTANTIATE_TEST_SUITE_P(Orders, LatticeOrder, testing::Values(1, 2, 5, 6, 12, 24));

// Whoever reads the parameters after someone has written to E or w sees what they wrote.
TEST(Lattice, FoldsWhatWasWritten) {
  const TrainingCase c = {"Fold",        1, 2, 16,  16, 41, 4, 2, Precision::kFp32, 0,
                          Family::kGpt2, 0, 0, true};
  TrainingRun run(c, 3, false);
  ModelState& state = run.state();
  const std::int64_t at = state.layout.token_embedding();
  state.embedding()[3] = 2;
  state.parameters.data()[state.layout.coupling()] = 0.5;
  run.session().fold();
  EXPECT_EQ(state.parameters.data()[at + 3], 2 + 0.5f * state.embedding()[12 * 16 + 3])
      << "the radial neighbour of token 0 is the one of ring 1";
}

// A model whose step failed can be saved: its tree only throws, and folding needs none.
TEST(Lattice, FoldsAfterAFailedStep) {
  const TrainingCase c = {"Fold",        1, 2, 16,  16, 41, 4, 2, Precision::kFp32, 0,
                          Family::kGpt2, 0, 0, true};
  SessionConfig config = session_config(c, 4);
  config.tree.before_tile = [](int, const TileClaim&) { throw std::runtime_error("a fault"); };
  Session session(config);
  ModelState& state = session.state();
  start_weights(state);
  std::vector<std::int32_t> inputs, targets;
  TextBatches(c).fill(0, inputs, targets);
  EXPECT_THROW(session.step(0, {inputs.data(), targets.data()}), std::runtime_error);
  state.parameters.data()[state.layout.coupling()] = 0.5;
  session.fold();
  const float* const E = state.embedding();
  EXPECT_EQ(state.parameters.data()[state.layout.token_embedding() + 3], E[3] + 0.5f * E[195])
      << "the radial neighbour of token 0 is the one of ring 1";
}

// The tables of neighbours grow with the square of the order, the rest of the lattice does not.
TEST(Lattice, MemoryPlanCountsTheNeighbours) {
  const auto tables = [](int order, bool lattice) {
    SessionConfig config = session_config({"Tables", 1, 2, 16, 16, 8000, 4, 1}, 1);
    config.model.symmetry_order = order;
    config.lattice = lattice;
    return plan_memory(config).tables;
  };
  EXPECT_GE(tables(12, true), tables(12, false) + std::size_t{2} * 5 * 12 * 12 * sizeof(RowLink));
  EXPECT_EQ(tables(1000, true) - tables(1000, false), Neighbours::bytes_for(8000, 1000));
  EXPECT_GE(Neighbours::bytes_for(8000, 1000), 2u * 5 * 1000 * 1000 * sizeof(RowLink));
}

}  // namespace
}  // namespace cllm
