// Frozen matrices may be kept as Bf16: then steps give the bits that floats of the same values
// give, in half of the memory.
#include <gtest/gtest.h>

#include "base/bf16.h"
#include "cllm/process.h"
#include "engine/memory_plan.h"
#include "lora_cases.h"
#include "one_answer.h"
#include "sanitized.h"

namespace cllm {
namespace {

class FrozenWeights : public testing::TestWithParam<TrainingCase> {};

void round_matrices(ModelState& state) {
  for (const TensorEntry& weight : state.layout.weights().tensors()) {
    if (!weight.is_matrix()) continue;
    float* const x = state.parameters.data() + weight.offset;
    for (std::int64_t i = 0; i < weight.size; ++i) x[i] = to_float(to_bf16(x[i]));
  }
}

/// The adapters after four steps.
std::vector<float> trained(const TrainingCase& c, Pass pass, GemmBackend gemm, bool rounded) {
  SessionConfig config = session_config(c, 3);
  config.pass = pass;
  config.gemm = gemm;
  Session session(config);
  start_weights(session.state());
  if (rounded) round_matrices(session.state());
  const TextBatches text(c);
  std::vector<std::int32_t> inputs, targets;
  for (int step = 0; step < 4; ++step) {
    text.fill(step, inputs, targets);
    session.step(step, {inputs.data(), targets.data()});
  }
  return trained_weights(session.state());
}

TEST_P(FrozenWeights, GiveTheBitsOfRoundedFloats) {
  TrainingCase floats = GetParam();
  floats.base = Precision::kFp32;
  for (const Pass pass : {Pass::kTraining, Pass::kRecomputing}) {
    EXPECT_EQ(trained(GetParam(), pass, GemmBackend::kNative, false),
              trained(floats, pass, GemmBackend::kNative, true));
  }
  EXPECT_NE(trained(GetParam(), Pass::kTraining, GemmBackend::kNative, false),
            trained(floats, Pass::kTraining, GemmBackend::kNative, false));
  const GemmBackend other = GemmBackend::kOneDnn;
  if (!gemm_backend_available(other)) return;
  if (GetParam().precision == Precision::kBf16 && !gemm_backend_takes_bf16(other)) return;
  EXPECT_EQ(trained(GetParam(), Pass::kTraining, other, false),
            trained(floats, Pass::kTraining, other, true));
}

TEST_P(FrozenWeights, GiveOneAnswerOnEveryTree) {
  std::vector<std::int64_t> threads;
  for (const std::int64_t workers : {1, 2, 7}) threads.push_back(threads_for_workers(workers));
  threads.push_back(64);
  expect_one_answer(GetParam(), kSanitized ? 4 : 8, threads);
}

/// Learned positions and turned heads, both precisions, an embedding that is trained.
std::vector<TrainingCase> cases() {
  const std::vector<TrainingCase> all = lora_cases();
  std::vector<TrainingCase> some = {all[0], all[4], all[5], all[8]};
  for (TrainingCase& c : some) c.base = Precision::kBf16;
  return some;
}

INSTANTIATE_TEST_SUITE_P(Shapes, FrozenWeights, testing::ValuesIn(fewer_if_sanitized(cases())),
                         [](const auto& test) { return test.param.name; });

TEST(FrozenWeightsMemory, IsHalfAndWhatThePlanSays) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer counts memory of its own";
  TrainingCase c = {"Large", 4, 8, 512, 64, 20000, 4, 1};
  c.lora = lora_of(4);
  const std::size_t floats = plan_memory(session_config(c, 1)).parameters;
  c.base = Precision::kBf16;
  EXPECT_LT(plan_memory(session_config(c, 1)).parameters, floats / 100 * 55);
  for (const Precision base : {Precision::kBf16, Precision::kFp32}) {
    for (const bool embeddings : {false, true}) {
      c.base = base;
      c.lora->modules_to_save.assign(embeddings ? 1 : 0, kEmbeddings);
      const auto planned = static_cast<double>(plan_memory(session_config(c, 1)).parameters);
      const double before = resident_memory().own;
      ModelState state(session_config(c, 1).model, 0, Precision::kFp32, false, c.lora, c.base);
      start_weights(state);
      EXPECT_NEAR(resident_memory().own - before, planned, 0.05 * planned)
          << precision_name(base) << embeddings;
    }
  }
}

}  // namespace
}  // namespace cllm
