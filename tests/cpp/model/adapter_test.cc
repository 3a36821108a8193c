// Adapters: their gradients are those of the chain rule in every family and precision, merged
// weights are the same model, and no more is computed than they need.
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "adapter_case.h"
#include "cllm/error.h"
#include "cpu/features.h"
#include "has.h"
#include "model/adapters.h"
#include "model/packed_weights.h"
#include "model/tile_calls.h"
#include "sanitized.h"

namespace cllm {
namespace {

class AdapterGradient : public testing::TestWithParam<AdapterCase> {
 protected:
  ShardRunner runner(const KernelTable& table, Pass pass = Pass::kTraining,
                     Precision precision = Precision::kFp32) const {
    return ShardRunner(model_.plain.config, model_.layout, GetParam().model.shards.front(),
                       GetParam().model.length, table, pass, precision);
  }
  double run(ShardRunner& runner, TileOrder order = TileOrder::kForward) const {
    return model_.run(GetParam(), runner, order);
  }
  bool same_gradient(const ShardRunner& a, const ShardRunner& b) const {
    for (const TensorEntry& t : model_.layout.trainables().tensors()) {
      if (std::memcmp(a.gradient.data() + t.offset, b.gradient.data() + t.offset,
                      static_cast<std::size_t>(t.size) * sizeof(float)) != 0) {
        return false;
      }
    }
    return true;
  }
  /// Expects no element further off than `most` of its tensor's largest, and the root of the sum of
  /// squared errors at most `whole` of that of the squares.
  void expect_gradient(const ShardRunner& runner, double most, double whole) const {
    for (const TensorEntry& t : model_.layout.trainables().tensors()) {
      double worst = 0, largest = 0, errors = 0, squares = 0;
      for (std::int64_t i = t.offset; i < t.offset + t.size; ++i) {
        const double wanted = model_.gradient[static_cast<std::size_t>(i)];
        const double error =
            std::abs(double{runner.gradient[static_cast<std::size_t>(i)]} - wanted);
        if (!(error <= worst) && !std::isnan(worst)) worst = error;  // a NaN stays
        largest = std::max(largest, std::abs(wanted));
        errors += error * error;
        squares += wanted * wanted;
      }
      EXPECT_GT(largest, 0) << t.name;
      EXPECT_LE(worst, most * largest) << t.name;
      EXPECT_LE(std::sqrt(errors), whole * std::sqrt(squares)) << t.name;
    }
  }

  const AdaptedModel model_{GetParam()};
};

TEST_P(AdapterGradient, FollowsTheChainRule) {
  const double tolerance = 2 * model_.plain.tolerance();
  for (const KernelTable* table : runnable_kernels()) {
    SCOPED_TRACE(table->name);
    ShardRunner runner = this->runner(*table);
    EXPECT_NEAR(run(runner), model_.loss, tolerance * model_.loss);
    expect_gradient(runner, tolerance, tolerance);
  }
}

TEST_P(AdapterGradient, OfBf16IsNearIt) {
  const double more = GetParam().model.bf16;
  for (const KernelTable* table : runnable_kernels()) {
    SCOPED_TRACE(table->name);
    ShardRunner runner = this->runner(*table, Pass::kTraining, Precision::kBf16);
    EXPECT_NEAR(run(runner), model_.loss, 1e-2 * model_.loss);
    expect_gradient(runner, 4e-2 * more, 2.5e-2 * more);
  }
}

// Neither the order of tiles shows, nor old memory, nor that activations are made again or weights
// packed.
TEST_P(AdapterGradient, IsTheSameHoweverItIsMade) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    ShardRunner first = runner(kernels(), Pass::kTraining, precision);
    const double loss = run(first);
    const auto expect_same = [&](ShardRunner& runner, TileOrder order, const char* what) {
      EXPECT_EQ(run(runner, order), loss) << what;
      EXPECT_TRUE(same_gradient(runner, first)) << what;
    };
    ShardRunner again = runner(kernels(), Pass::kRecomputing, precision);
    for (const TileOrder order :
         {TileOrder::kForward, TileOrder::kReversed, TileOrder::kShuffled}) {
      ShardRunner other = runner(kernels(), Pass::kTraining, precision);
      expect_same(other, order, "another order");
      expect_same(other, order, "memory in use before");
      expect_same(again, order, "recomputed");
    }
    PackedWeights packed(model_.layout, precision);
    for (std::int32_t tile = 0; tile < packed.tiles(); ++tile) {
      packed.pack(tile, Pass::kTraining,
                  model_.layout.weight(packed.weight_of(tile), model_.plain.parameters.data(),
                                       model_.adapters.data()),
                  kernels());
    }
    ShardRunner with_packed = runner(kernels(), Pass::kTraining, precision);
    with_packed.packed = &packed;
    expect_same(with_packed, TileOrder::kForward, "packed");
  }
}

TEST_P(AdapterGradient, MergedWeightsAreTheSameModel) {
  const Wanted& plain = model_.plain;
  const GradientCase& c = GetParam().model;
  const auto logits = [&](const ParameterLayout& layout, const std::vector<float>& parameters,
                          const float* adapters) {
    ShardRunner runner(plain.config, layout, plain.batch.sequences, c.length, kernels(),
                       Pass::kForward);
    runner.adapters = adapters;
    runner.run(parameters.data(), plain.batch, false, 1.0);
    const float* const all = runner.workspace.logits;
    return std::vector<float>(all, all + plain.batch.rows() * c.vocabulary);
  };
  const std::vector<float> adapted =
      logits(model_.layout, plain.parameters, model_.adapters.data());
  const std::vector<float> merged = logits(plain.layout, model_.merged, nullptr);
  const std::vector<float> alone = logits(plain.layout, plain.parameters, nullptr);
  float largest = 0, worst = 0, change = 0;
  for (std::size_t i = 0; i < merged.size(); ++i) {
    largest = std::max(largest, std::abs(merged[i]));
    worst = std::max(worst, std::abs(adapted[i] - merged[i]));
    change = std::max(change, std::abs(alone[i] - merged[i]));
  }
  EXPECT_LE(double{worst}, 2 * plain.tolerance() * double{largest});
  EXPECT_GT(change, 0.01f * largest) << "adapters do something";
}

/// The multiplications that the tiles of a shard's products make.
class Multiplications final : public CallListener {
 public:
  explicit Multiplications(const ShardProgram& program) {
    for (const Phase& phase : program.phases()) {
      for (std::int32_t tile = 0; tile < phase.tiles; ++tile) {
        list_calls(program.cuts(), phase, tile, *this);
      }
    }
  }
  std::int64_t count() const { return count_; }

  void product(GemmForm, bool, std::int64_t m, std::int64_t n, std::int64_t k) override {
    count_ += m * n * k;
  }
  void pass(const char*, bool, std::int64_t, std::int64_t) override {}
  void add(std::int64_t, std::int64_t) override {}
  void attention(const char*, double) override {}

 private:
  std::int64_t count_ = 0;
};

TEST_P(AdapterGradient, TakesTheOperationsThatAreCounted) {
  const ModelConfig& config = model_.plain.config;
  for (const ParameterLayout* layout : {&model_.layout, &model_.plain.layout}) {
    const ShardProgram program(config, *layout, {2, config.context}, Pass::kTraining,
                               WeightLayout::kPlain);
    const std::int64_t without_attention = layout->flops_per_token(0) / 2;
    EXPECT_EQ(Multiplications(program).count(), without_attention * 2 * config.context)
        << (layout->adapted() ? "with adapters" : "without");
  }
  if (config.width < 16 * GetParam().lora.rank) return;  // such adapters are no small work
  EXPECT_LT(model_.layout.flops_per_token(64), model_.plain.layout.flops_per_token(64));
}

INSTANTIATE_TEST_SUITE_P(Shapes, AdapterGradient,
                         testing::ValuesIn(fewer_if_sanitized(adapter_cases())),
                         [](const auto& test) { return test.param.model.name; });

/// The operations of a shard, those of layer 0 apart.
std::set<std::pair<Op, LinearSite>> operations(const std::vector<std::string>& targets,
                                               bool lowest) {
  const ModelConfig config{2, 2, 16, 12, 40};
  const ParameterLayout layout(config, false, lora(2, targets));
  const ShardProgram program(config, layout, {2, 12}, Pass::kTraining, WeightLayout::kPlain);
  std::set<std::pair<Op, LinearSite>> all;
  for (const Phase& phase : program.phases()) {
    if ((phase.layer == 0) == lowest) all.insert({phase.op, phase.site});
  }
  return all;
}

TEST(AdapterPhases, LeaveOutWhatNobodyNeeds) {
  using Operation = std::pair<Op, LinearSite>;
  for (const bool lowest : {true, false}) {
    for (const char* target : {kAllLinear, "c_attn", "attn.c_proj", "c_fc", "mlp.c_proj"}) {
      for (const auto& [op, site] : operations({target}, lowest)) {
        EXPECT_NE(op, Op::kLinearWeight);
        EXPECT_NE(op, Op::kTokenWeight);
        EXPECT_NE(op, Op::kEmbedBackward);
        for (const Op vectors :
             {Op::kHiddenVectors, Op::kMiddleVectors, Op::kQkvVectors, Op::kInputVectors}) {
          EXPECT_NE(op, vectors);
        }
      }
    }
  }
  const auto backward = [](const char* target, bool lowest) {
    std::set<LinearSite> sites;
    for (const auto& [op, site] : operations({target}, lowest)) {
      if (op == Op::kLinearBackward) sites.insert(site);
    }
    return sites;
  };
  using Sites = std::set<LinearSite>;
  const Sites all = {LinearSite::kQkv, LinearSite::kProjection, LinearSite::kHidden,
                     LinearSite::kOutput};
  EXPECT_EQ(backward("c_attn", false), all);
  EXPECT_EQ(backward("mlp.c_proj", false), all);
  EXPECT_EQ(backward("c_attn", true),
            (Sites{LinearSite::kProjection, LinearSite::kHidden, LinearSite::kOutput}));
  EXPECT_EQ(backward("attn.c_proj", true), (Sites{LinearSite::kHidden, LinearSite::kOutput}));
  EXPECT_EQ(backward("c_fc", true), (Sites{LinearSite::kOutput}));
  EXPECT_EQ(backward("mlp.c_proj", true), Sites{});
  const auto lowest = operations({"attn.c_proj"}, true);
  EXPECT_EQ(lowest.count(Operation{Op::kAttentionBackward, {}}), 0u);
  EXPECT_EQ(operations({"c_attn"}, true).count(Operation{Op::kAttentionBackward, {}}), 1u);
}

TEST(Adapters, AreNamedAsPeftNamesThem) {
  ModelConfig llama{1, 4, 32, 16, 40};
  llama.family = Family::kLlama;
  llama.kv_heads = 2;
  const ParameterLayout layout(llama, false, lora(3, {"q_proj", "v_proj", "mlp.down_proj"}));
  std::vector<std::string> seen;
  for (const TensorEntry& t : layout.trainables().tensors()) {
    seen.push_back(t.name + " " + std::to_string(t.shape[0]) + " " + std::to_string(t.shape[1]));
    EXPECT_TRUE(t.decays);
  }
  const std::string layer = "model.layers.0.", hidden = std::to_string(llama.hidden());
  const std::vector<std::string> wanted = {layer + "self_attn.q_proj.lora_A.weight 3 32",
                                           layer + "self_attn.v_proj.lora_A.weight 3 32",
                                           layer + "self_attn.q_proj.lora_B.weight 32 3",
                                           layer + "self_attn.v_proj.lora_B.weight 16 3",
                                           layer + "mlp.down_proj.lora_A.weight 3 " + hidden,
                                           layer + "mlp.down_proj.lora_B.weight 32 3"};
  EXPECT_EQ(seen, wanted);
  EXPECT_EQ(layout.parameters(), ParameterLayout(llama).parameters()) << "the weights stay";
  EXPECT_EQ(layout.trainables().parameters(), 3 * (32 + 32 + 32 + 16 + llama.hidden() + 32));
}

TEST(Adapters, StartWithoutEffect) {
  const ModelConfig config{2, 2, 16, 12, 40};
  const ParameterLayout layout(config, false, lora(4));
  std::vector<float> one(static_cast<std::size_t>(layout.trainables().flat_size())), other = one;
  initialize_adapters(layout, 7, one.data());
  initialize_adapters(layout, 8, other.data());
  EXPECT_NE(one, other);
  for (const TensorEntry& t : layout.trainables().tensors()) {
    const bool a = has(t.name, "lora_A");
    const float most = 1 / std::sqrt(static_cast<float>(t.shape[1]));
    float largest = 0;
    for (std::int64_t i = t.offset; i < t.offset + t.size; ++i) {
      largest = std::max(largest, std::abs(one[static_cast<std::size_t>(i)]));
    }
    EXPECT_LE(largest, a ? most : 0.0f) << t.name;
    EXPECT_GE(largest, a ? 0.8f * most : 0.0f) << t.name;
  }
}

std::string complaint(const LoraConfig& lora, Family family = Family::kLlama,
                      std::int64_t layers = 1) {
  ModelConfig model{layers, 4, 32, 16, 40};
  model.family = family;
  try {
    check(lora, model);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(Adapters, RefuseWhatAModelDoesNotHave) {
  EXPECT_EQ(complaint(lora(8)), "");
  EXPECT_EQ(complaint(lora(32, {"model.layers.0.self_attn.q_proj"})), "");
  EXPECT_TRUE(
      has(complaint(lora(8, {"layers.0.self_attn.q_proj"}), Family::kLlama, 2), "not every layer"));
  const std::string unknown = complaint(lora(8, {"q_proj", "c_attn"}));
  EXPECT_TRUE(has(unknown, "\"c_attn\"")) << unknown;
  EXPECT_TRUE(has(unknown, "all-linear, down_proj, gate_proj, k_proj, o_proj")) << unknown;
  EXPECT_TRUE(has(complaint(lora(8, {"q_proj"}), Family::kGpt2), "c_attn, c_fc, c_proj"));
  EXPECT_TRUE(has(complaint(lora(8, {"_proj"})), "\"_proj\"")) << "a part of a word is no name";
  EXPECT_TRUE(has(complaint(lora(8, {"lm_head"})), "\"lm_head\""));
  EXPECT_TRUE(has(complaint(lora(8, {})), "no targets"));
  EXPECT_TRUE(has(complaint(lora(33)), "1 to 32, the width of the model"));
  EXPECT_TRUE(has(complaint(lora(0)), "1 to 32"));
  EXPECT_TRUE(has(complaint(lora(8, {kAllLinear}, 0)), "above 0"));
  LoraConfig drops = lora(8);
  drops.dropout = 1;
  EXPECT_TRUE(has(complaint(drops), "below 1"));
  EXPECT_THROW(ParameterLayout({1, 1, 8, 8, 40}, true, lora(2)), InputError) << "with a lattice";
}

TEST(LoraScale, IsThatOfPeft) {
  EXPECT_DOUBLE_EQ(lora(16, {kAllLinear}, 32).scale(), 2);
  EXPECT_DOUBLE_EQ(lora(16, {kAllLinear}, 32, true).scale(), 8);
}

}  // namespace
}  // namespace cllm
