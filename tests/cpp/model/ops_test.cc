// These tests check the operations of a shard that have no kernel of their own: embeddings forward
// and backward with repeated tokens, the evaluation loss with rows left out, and what shards share.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "cpu/features.h"
#include "model/shard_ops.h"
#include "model_reference_backward.h"
#include "shard_runner.h"

namespace cllm {
namespace {

ModelConfig small_model(std::int64_t width, std::int64_t positions, std::int64_t vocabulary) {
  return {1, 1, width, positions, vocabulary};
}

/// Runs all tiles of one operation on a runner's memory.
class SingleOp {
 public:
  SingleOp(const ModelConfig& config, const ParameterLayout& layout, ShardRunner& runner,
           const std::vector<float>& parameters, const TokenBatch& batch)
      : cuts_(config, layout, {batch.sequences, batch.length}, WeightLayout::kPlain) {
    data_.parameters = parameters.data();
    data_.gradient = runner.gradient.data();
    data_.workspace = &runner.workspace;
    data_.rows = {batch.inputs.data(), batch.targets.data()};
  }

  void run(Op op, std::int64_t tiles, const KernelTable& table, bool accumulate) {
    data_.accumulate = accumulate;
    const Phase phase{op, 0, 0, 0, 1, static_cast<std::int32_t>(tiles), {}, {}};
    const std::unique_ptr<Gemm> gemm = make_gemm(GemmBackend::kNative, table);
    const WorkerContext worker{&table, gemm.get(), nullptr};
    for (std::int64_t tile = tiles - 1; tile >= 0; --tile) {
      ShardOps<float>(cuts_, data_, worker, phase).run(tile);
    }
  }
  const ShardCuts& cuts() const { return cuts_; }

 private:
  const ShardCuts cuts_;
  ShardData data_{};
};

TEST(Embedding, AddsTokenAndPositionOfEachRow) {
  for (const std::int64_t width : {1, 4, 33, 100}) {
    const ModelConfig config = small_model(width, 9, 6);
    const ParameterLayout layout(config);
    const std::vector<float> parameters = lively_parameters(layout);
    const TokenBatch batch = random_batch(5, 7, 6);
    for (const KernelTable* table : runnable_kernels()) {
      ShardRunner runner(config, layout, 5, 7, *table);
      SingleOp op(config, layout, runner, parameters, batch);
      op.run(Op::kEmbed, op.cuts().pass_tiles(), *table, false);
      for (std::int64_t i = 0; i < batch.rows() * width; ++i) {
        const std::int64_t r = i / width, c = i % width;
        const std::int64_t token =
            layout.token_embedding() + batch.inputs[static_cast<std::size_t>(r)] * width + c;
        const std::int64_t position = layout.position_embedding() + r % 7 * width + c;
        ASSERT_EQ(runner.workspace.layers[0].x[i],
                  parameters[static_cast<std::size_t>(token)] +
                      parameters[static_cast<std::size_t>(position)])
            << table->name << ", width " << width << ", row " << r << ", column " << c;
      }
    }
  }
}

/// The gradient of a token is the sum over the rows that hold it, rows in order: exactly, since no
/// other order is allowed. Here every token but two comes up many times and one never.
TEST(EmbeddingGradient, RepeatedTokensAddTheirRowsInOrder) {
  for (const std::int64_t width : {1, 31, 32, 33, 100}) {
    const ModelConfig config = small_model(width, 12, 6);
    const ParameterLayout layout(config);
    const std::vector<float> parameters = lively_parameters(layout);
    TokenBatch batch = random_batch(4, 10, 4);
    batch.inputs[7] = 5;  // once; 4 never
    for (const KernelTable* table : runnable_kernels()) {
      ShardRunner runner(config, layout, 4, 10, *table);
      SingleOp op(config, layout, runner, parameters, batch);
      std::mt19937 random(1);
      std::uniform_real_distribution<float> uniform(-1, 1);
      for (std::int64_t i = 0; i < batch.rows() * width; ++i) {
        runner.workspace.dx[1][i] = uniform(random);
      }
      // What the head left; positions are the embedding's own and start anew.
      std::vector<float> tokens(static_cast<std::size_t>(6 * width));
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        tokens[i] = runner.gradient[static_cast<std::size_t>(layout.token_embedding()) + i] =
            uniform(random);
      }
      std::vector<float> positions(static_cast<std::size_t>(12 * width), 0.0f);
      for (const bool accumulate : {false, true}) {
        op.run(Op::kEmbedBackward, op.cuts().embed_tiles(), *table, accumulate);
        for (std::int64_t i = 0; i < batch.rows() * width; ++i) {
          const std::int64_t r = i / width, c = i % width;
          const float from = runner.workspace.dx[1][i];
          tokens[static_cast<std::size_t>(batch.inputs[static_cast<std::size_t>(r)] * width + c)] +=
              from;
          positions[static_cast<std::size_t>(r % 10 * width + c)] += from;
        }
        const auto seen = [&](std::int64_t offset, const std::vector<float>& wanted) {
          return std::memcmp(runner.gradient.data() + offset, wanted.data(),
                             wanted.size() * sizeof(float)) == 0;
        };
        EXPECT_TRUE(seen(layout.token_embedding(), tokens)) << table->name << ", width " << width;
        EXPECT_TRUE(seen(layout.position_embedding(), positions))
            << table->name << ", width " << width << (accumulate ? ", again" : "");
      }
    }
  }
}

/// Evaluation counts the rows that have a target: the losses of the others are left out, and of
/// those that remain nothing changes.
TEST(EvaluationLoss, LeavesOutRowsWithoutATarget) {
  const ModelConfig config = small_model(12, 10, 700);
  const ParameterLayout layout(config);
  const std::vector<float> parameters = lively_parameters(layout);
  const TokenBatch batch = random_batch(3, 10, 700);
  for (const KernelTable* table : runnable_kernels()) {
    ShardRunner runner(config, layout, 3, 10, *table, Pass::kForward);
    const double all = runner.run(parameters.data(), batch, false, 1.0);
    TokenBatch some = batch, others = batch;
    for (std::size_t r = 0; r < batch.targets.size(); ++r) {
      (r % 3 == 0 ? some : others).targets[r] = -1;
    }
    const double loss = runner.run(parameters.data(), some, false, 1.0);
    const double rest = runner.run(parameters.data(), others, false, 1.0);
    EXPECT_GT(rest, 0.2 * all) << table->name;
    EXPECT_LT(rest, 0.5 * all) << table->name;
    EXPECT_NEAR(loss + rest, all, 1e-12 * all) << table->name;
  }
}

/// Training and evaluation are the same forward: the loss of a shard has the same bits in both.
TEST(EvaluationLoss, IsThatOfTraining) {
  for (const std::int64_t vocabulary : {5, 512, 513, 1100}) {
    const ModelConfig config = small_model(20, 16, vocabulary);
    const ParameterLayout layout(config);
    const std::vector<float> parameters = lively_parameters(layout);
    const TokenBatch batch = random_batch(3, 16, vocabulary);
    for (const KernelTable* table : runnable_kernels()) {
      ShardRunner training(config, layout, 3, 16, *table),
          evaluation(config, layout, 3, 16, *table, Pass::kForward);
      EXPECT_EQ(training.run(parameters.data(), batch, false, 1.0),
                evaluation.run(parameters.data(), batch, false, 1.0))
          << table->name << ", vocabulary " << vocabulary;
    }
  }
}

/// Logits of one block of the vocabulary may exceed those of another by more than exp can take.
TEST(CrossEntropy, BlocksOfFarApartLogitsStayFinite) {
  const ModelConfig config = small_model(12, 10, 1100);
  const ParameterLayout layout(config);
  for (const std::int64_t large : {0, 1}) {  // in the first block of 512, then in the second
    std::vector<float> parameters = lively_parameters(layout);
    float* tokens = parameters.data() + layout.token_embedding() + large * 600 * 12;
    for (std::int64_t i = 0; i < 100 * 12; ++i) tokens[i] *= 100.0f;
    const TokenBatch batch = random_batch(3, 10, 1100);
    const ModelReferenceBackward reference(config, layout, parameters.data(), batch);
    const Doubles gradient = reference.gradient();
    double span = 0;
    for (const double z : reference.logits()) span = std::max(span, std::abs(z));
    ASSERT_GT(span, 200.0);
    for (const KernelTable* table : runnable_kernels()) {
      ShardRunner runner(config, layout, 3, 10, *table);
      const double loss = runner.run(parameters.data(), batch, false, 1.0 / 30) / 30;
      EXPECT_NEAR(loss, reference.loss(), 1e-6 * span) << table->name;
      double worst = 0, most = 0;
      for (std::int64_t i = 0; i < config.vocabulary * 12; ++i) {
        const auto at = static_cast<std::size_t>(layout.token_embedding() + i);
        const double error = std::abs(double{runner.gradient[at]} - gradient[at]);
        if (!(error <= worst) && !std::isnan(worst)) worst = error;
        most = std::max(most, std::abs(gradient[at]));
      }
      EXPECT_LE(worst, 1e-6 * span * most) << table->name;
    }
  }
}

/// A sequence's rows do not depend on what else is in its shard.
TEST(Shard, SequencesDoNotMeet) {
  const ModelConfig config = small_model(24, 20, 50);
  const ParameterLayout layout(config);
  const std::vector<float> parameters = lively_parameters(layout);
  const TokenBatch batch = random_batch(4, 20, 50);
  TokenBatch other = batch;
  for (std::size_t r = 0; r < 20; ++r) other.inputs[r] = (other.inputs[r] + 1) % 50;
  for (const KernelTable* table : runnable_kernels()) {
    ShardRunner a(config, layout, 4, 20, *table, Pass::kForward),
        b(config, layout, 4, 20, *table, Pass::kForward);
    a.run(parameters.data(), batch, false, 1.0);
    b.run(parameters.data(), other, false, 1.0);
    const std::size_t sequence = 20 * 50;
    EXPECT_NE(std::memcmp(a.workspace.logits, b.workspace.logits, sequence * sizeof(float)), 0);
    EXPECT_EQ(std::memcmp(a.workspace.logits + sequence, b.workspace.logits + sequence,
                          3 * sequence * sizeof(float)),
              0)
        << table->name;
  }
}

TEST(Shard, ScratchOfHeadsHoldsNoMoreColumnsThanThereAre) {
  ModelConfig config = small_model(30, 64, 50);
  config.family = Family::kLlama;
  config.heads = 3;
  config.kv_heads = 1;
  config.head_dim = 130;  // whole heads end where a panel ends after 4160 columns
  const std::size_t floats = ShardProgram::worker_scratch_floats(ParameterLayout(config), {8, 64},
                                                                 kernels(), Precision::kBf16);
  EXPECT_EQ(floats, static_cast<std::size_t>(512 * config.qkv_width()));
}

}  // namespace
}  // namespace cllm
