// The oracle is a sequential training loop in plain sight. It shares the arithmetic of a shard, the
// kernels and the batch plan with the engine, but nothing that coordinates: no spheres, no merges
// of theirs, no jobs. The tree of threads must give exactly its bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "cllm/error.h"
#include "model/initialize.h"
#include "model/shard_program.h"
#include "packed_text.h"
#include "sanitized.h"

namespace cllm {
namespace {

using Floats = std::vector<float>;

constexpr std::uint64_t kSeed = 7;
constexpr int kSteps = 10;

/// What a run of some steps leaves behind.
struct Training {
  std::vector<double> losses, norms;
  Floats gradient;  // of the last step, before clipping
  Floats parameters;
};

class Oracle {
 public:
  /// `order`: which position stands at each leaf of the summation tree; 0, 1, 2... is the contract.
  Oracle(const SessionConfig& config, const BatchPlan& plan, std::vector<std::size_t> order)
      : config_(config),
        plan_(plan),
        order_(std::move(order)),
        layout_(layout_of(config)),
        weights_(packs_weights(config, layout_) ? WeightLayout::kPacked : WeightLayout::kPlain),
        coupling_(config.model.vocabulary, config.model.width, config.model.symmetry_order),
        parameters_(static_cast<std::size_t>(layout_.flat_size())),
        adapters_(
            static_cast<std::size_t>(layout_.adapted() ? layout_.trainables().flat_size() : 0)),
        first_moment_(static_cast<std::size_t>(layout_.trainables().flat_size())),
        second_moment_(first_moment_.size()),
        workspace_(layout_, {plan.largest_shard(), plan.sequence}, Pass::kTraining,
                   config.precision),
        gemm_(make_gemm(config.gemm, kernels())),
        scratch_(ShardProgram::worker_scratch_floats(layout_, {plan.largest_shard(), plan.sequence},
                                                     kernels(), config.precision)) {
    initialize(config.model, layout_, kSeed, parameters_.data());
    if (config.lora) initialize_adapters(layout_, kSeed, adapters_.data());
    for (const TensorEntry& weight : layout_.tensors()) {
      const std::int64_t at = layout_.among_adapters(weight.offset);
      if (at == kAbsent) continue;
      std::copy_n(parameters_.begin() + weight.offset, weight.size, adapters_.begin() + at);
    }
    if (config.lattice) embedding_.resize(static_cast<std::size_t>(embedded()));
  }

  Training train(const TrainingCase& c) {
    Training run;
    StepText text;
    for (int step = 0; step < kSteps; ++step) {
      draw(c, step, text);
      const auto counted = static_cast<double>(
          count_targets(text.targets.data(), static_cast<std::int64_t>(text.targets.size())));
      if (config_.lattice) fold();
      double loss = 0;
      std::vector<Floats> gradients;
      for (const PositionPlan& position : plan_.positions) {
        gradients.push_back(position_gradient(step, position, text.rows(), counted, loss));
      }
      run.gradient = tree_sum(gradients);
      if (config_.lattice) unfold(run.gradient);
      run.losses.push_back(loss / counted);
      run.norms.push_back(norm(run.gradient));
      update(step, run.gradient, run.norms.back());
    }
    run.parameters = trained();
    return run;
  }

  /// The tensor through which tokens are coupled.
  Floats::iterator token(Floats& range) const { return range.begin() + layout_.token_embedding(); }
  std::int64_t embedded() const { return config_.model.vocabulary * config_.model.width; }

  /// Puts the effective embedding in the place of the token embedding, which is kept.
  void fold() {
    std::copy(token(parameters_), token(parameters_) + embedded(), embedding_.begin());
    for (std::int32_t t = 0; t < coupling_.tiles(); ++t) {
      coupling_.fold(kernels(), t, embedding_.data(), parameters_.data() + layout_.coupling(),
                     parameters_.data() + layout_.token_embedding());
    }
  }
  /// Takes the token embedding back, and puts its gradient and that of the coefficients in place.
  void unfold(Floats& gradient) {
    const std::size_t order = static_cast<std::size_t>(config_.model.symmetry_order);
    Floats own(embedding_.size());
    std::vector<double> parts(static_cast<std::size_t>(coupling_.tiles()) * order);
    for (std::int32_t t = 0; t < coupling_.tiles(); ++t) {
      coupling_.unfold(kernels(), t, embedding_.data(), parameters_.data() + layout_.coupling(),
                       gradient.data() + layout_.token_embedding(), own.data(),
                       parts.data() + static_cast<std::size_t>(t) * order);
    }
    coupling_.sum_parts(parts.data(), gradient.data() + layout_.coupling());
    std::copy(own.begin(), own.end(), token(gradient));
    std::copy(embedding_.begin(), embedding_.end(), token(parameters_));
  }

  Floats& trained() { return layout_.adapted() ? adapters_ : parameters_; }

 private:
  /// Shards of a position in order, into one buffer; their losses are added to `loss`.
  Floats position_gradient(int step, const PositionPlan& position, const TokenRows& rows,
                           double counted, double& loss) {
    Floats gradient(first_moment_.size());
    std::vector<std::int64_t> sequences(static_cast<std::size_t>(plan_.batch));
    std::iota(sequences.begin(), sequences.end(), 0);
    const DropoutSource dropout{config_.seed, step, sequences.data()};
    for (int s = 0; s < position.shards; ++s) {
      const ShardPlan& shard = plan_.shards[static_cast<std::size_t>(position.first_shard + s)];
      const ShardProgram program(config_.model, layout_, {shard.sequences, plan_.sequence},
                                 Pass::kTraining, weights_, config_.head_rows);
      double shard_loss = 0;
      const std::int64_t row = shard.first_sequence * plan_.sequence;
      ShardData data = {parameters_.data(), gradient.data(), &workspace_,
                        rows.from(row),     s > 0,           static_cast<float>(1.0 / counted),
                        &shard_loss};
      data.dropout = &dropout;  // whoever has no rates drops nothing
      data.adapters = adapters_.data();
      data.first_sequence = shard.first_sequence;
      const WorkerContext worker{&kernels(), gemm_.get(), scratch_.data()};
      for (std::size_t phase = 0; phase < program.phases().size(); ++phase) {
        for (std::int32_t tile = 0; tile < program.phases()[phase].tiles; ++tile) {
          program.run(phase, tile, data, worker);
        }
      }
      loss += shard_loss;
    }
    return gradient;
  }

  /// Neighbours in pairs, level by level; the last three of an odd number together.
  Floats tree_sum(const std::vector<Floats>& gradients) const {
    std::vector<Floats> level;
    for (const std::size_t position : order_) level.push_back(gradients[position]);
    while (level.size() > 1) {
      std::vector<Floats> above;
      while (!level.empty()) {
        const std::size_t count = level.size() == 3 ? 3 : 2;
        Floats sum = level[0];
        for (std::size_t i = 1; i < count; ++i) {
          for (std::size_t e = 0; e < sum.size(); ++e) sum[e] = sum[e] + level[i][e];
        }
        above.push_back(sum);
        level.erase(level.begin(), level.begin() + static_cast<std::ptrdiff_t>(count));
      }
      level = above;
    }
    return level.front();
  }

  /// Calls body(tensor, offset, size) for runs of at most 65536 elements of one trained tensor.
  template <class Body>
  void for_blocks(Body body) const {
    for (const TensorEntry& tensor : layout_.trainables().tensors()) {
      if (tensor.frozen) continue;
      for (std::int64_t at = 0; at < tensor.size; at += 65536) {
        const std::int64_t size = std::min<std::int64_t>(65536, tensor.size - at);
        body(tensor, tensor.offset + at, static_cast<std::size_t>(size));
      }
    }
  }

  double norm(const Floats& gradient) const {
    double sum = 0;
    for_blocks([&](const TensorEntry&, std::int64_t offset, std::size_t size) {
      sum += kernels().sum_squares(size, gradient.data() + offset);
    });
    return std::sqrt(sum);
  }

  void update(int step, const Floats& gradient, double norm) {
    const bool clips = config_.clip > 0 && norm > config_.clip;
    const double scale = clips ? config_.clip / (norm + 1e-6) : 1.0;
    AdamWArgs args = adamw_args(config_.adamw, step + 1, config_.schedule.at(step), scale);
    const float decay = args.weight_decay, rate = args.learning_rate;
    for_blocks([&](const TensorEntry& tensor, std::int64_t offset, std::size_t size) {
      args.weight_decay = tensor.shape.size() == 2 ? decay : 0.0f;
      args.learning_rate = tensor.name == "lattice.w" ? 3 * rate : rate;
      kernels().adamw(size, args, gradient.data() + offset, trained().data() + offset,
                      first_moment_.data() + offset, second_moment_.data() + offset);
    });
  }

  const SessionConfig config_;
  const BatchPlan plan_;
  const std::vector<std::size_t> order_;
  const ParameterLayout layout_;
  const WeightLayout weights_;
  const Coupling coupling_;
  Floats parameters_, adapters_, first_moment_, second_moment_;
  Floats embedding_;  // [V', C] of a coupled model, while its effective embedding is in place
  Workspace workspace_;
  const std::unique_ptr<Gemm> gemm_;
  AlignedBuffer<float> scratch_;
};

struct OracleCase {
  TrainingCase shapes;
  bool bias;
  double clip;
};

/// Beside the fixture's: threes at two levels of the summation tree; positions of several shards,
/// with norms on both sides of the clipping limit; a tensor of more than one block; frozen biases.
std::vector<OracleCase> oracle_cases() {
  std::vector<OracleCase> cases;
  for (const TrainingCase& c : training_cases()) cases.push_back({c, true, 1.0});
  for (const TrainingCase& c : lora_cases()) cases.push_back({c, true, 1.0});
  for (const TrainingCase& c : packed_cases()) cases.push_back({c, true, 1.0});
  cases.push_back({{"ElevenPositions", 1, 2, 24, 16, 101, 15, 11}, true, 1.0});
  cases.push_back({{"ShardsAccumulate", 1, 2, 24, 128, 101, 41, 3}, true, 1.25});
  cases.push_back({{"TensorOfTwoBlocks", 1, 3, 60, 20, 1100, 6, 2}, true, 1.0});
  cases.push_back({{"NoBias", 2, 5, 60, 48, 101, 13, 3}, false, 0.0});
  return cases;
}

SessionConfig config_of(const OracleCase& c) {
  SessionConfig config = session_config(c.shapes, 1);
  config.model.bias = c.bias;
  config.clip = c.clip;
  return config;
}

BatchPlan plan_of(const SessionConfig& config) { return plan_session_batch(config); }

std::vector<std::size_t> in_order(std::size_t positions) {
  std::vector<std::size_t> order(positions);
  for (std::size_t p = 0; p < positions; ++p) order[p] = p;
  return order;
}

Training train_oracle(const TrainingCase& c, const SessionConfig& config) {
  const BatchPlan plan = plan_of(config);
  return Oracle(config, plan, in_order(plan.positions.size())).train(c);
}

Training train_session(const TrainingCase& c, const SessionConfig& config) {
  Session session(config);
  start_weights(session.state(), kSeed);
  StepText text;
  Training run;
  for (int step = 0; step < kSteps; ++step) {
    draw(c, step, text);
    const StepOutcome out = session.step(step, text.rows());
    EXPECT_FALSE(out.skipped);
    run.losses.push_back(out.loss);
    run.norms.push_back(out.gradient_norm);
  }
  const ModelState& state = session.state();
  run.parameters = trained_weights(state);
  run.gradient.assign(session.gradient(), session.gradient() + state.trainables().size());
  if (state.lattice) {
    std::copy_n(state.lattice->gradient().data(), state.lattice->gradient().size(),
                run.gradient.begin() + state.lattice->offset());
  }
  return run;
}

bool same_bits(const Floats& a, const Floats& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class TrainOracle : public testing::TestWithParam<OracleCase> {};

TEST_P(TrainOracle, EveryTreeGivesItsBits) {
  const TrainingCase& c = GetParam().shapes;
  SessionConfig config = config_of(GetParam());
  const Training wanted = train_oracle(c, config);
  ASSERT_EQ(wanted.losses.size(), static_cast<std::size_t>(kSteps));
  const double share = c.lora ? 1 : 0.95;  // adapters change little in a few steps
  EXPECT_LT(wanted.losses.back(), share * wanted.losses.front()) << "it does not learn";
  for (const std::int64_t threads : {1, 3, 14}) {
    SCOPED_TRACE(std::to_string(threads) + " spheres");
    config.threads = threads;
    const Training seen = train_session(c, config);
    EXPECT_EQ(seen.losses, wanted.losses);
    EXPECT_EQ(seen.norms, wanted.norms);
    EXPECT_TRUE(same_bits(seen.gradient, wanted.gradient)) << "gradient of the last step";
    EXPECT_TRUE(same_bits(seen.parameters, wanted.parameters)) << "weights";
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, TrainOracle, testing::ValuesIn(fewer_if_sanitized(oracle_cases())),
                         [](const auto& test) { return test.param.shapes.name; });

/// The cases do reach what they are for.
TEST(TrainOracleItself, CasesMeetClippingBlocksAndShards) {
  const auto named = [](const std::string& name) {
    for (const OracleCase& c : oracle_cases()) {
      if (c.shapes.name == name) return c;
    }
    throw Error("no case " + name);
  };
  const OracleCase shards = named("ShardsAccumulate");
  const SessionConfig accumulating = config_of(shards);
  const SessionConfig large = config_of(named("TensorOfTwoBlocks"));
  EXPECT_EQ(plan_of(accumulating).shards.size(), 11u);
  EXPECT_EQ(plan_of(accumulating).positions.size(), 3u);
  const std::vector<double> norms = train_oracle(shards.shapes, accumulating).norms;
  EXPECT_GT(*std::max_element(norms.begin(), norms.end()), accumulating.clip);
  EXPECT_LT(*std::min_element(norms.begin(), norms.end()), accumulating.clip);
  const ParameterLayout layout(large.model);
  EXPECT_GT(layout.trainables().blocks().size(), layout.tensors().size());
}

/// The comparison can fail: with two positions of different pairs exchanged the sum is another.
TEST(TrainOracleItself, OrderOfPositionsShows) {
  const TrainingCase c = training_cases()[2];
  const SessionConfig config = session_config(c, 1);
  const BatchPlan plan = plan_of(config);
  ASSERT_EQ(plan.positions.size(), 12u);
  std::vector<std::size_t> order = in_order(12);
  std::swap(order[1], order[2]);
  const Training wanted = train_oracle(c, config), seen = Oracle(config, plan, order).train(c);
  EXPECT_EQ(seen.losses.front(), wanted.losses.front()) << "the first loss knows no gradient";
  EXPECT_NE(seen.losses, wanted.losses);
  EXPECT_NE(seen.norms, wanted.norms);
  EXPECT_FALSE(same_bits(seen.gradient, wanted.gradient));
  EXPECT_FALSE(same_bits(seen.parameters, wanted.parameters));
  for (std::size_t i = 0; i < wanted.parameters.size(); ++i) {
    ASSERT_NEAR(seen.parameters[i], wanted.parameters[i], 1e-2) << "more than rounding, at " << i;
  }
}

}  // namespace
}  // namespace cllm
