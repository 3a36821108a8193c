// The bits of training are written down; a change that is meant to change no result must keep them.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "cpu/features.h"
#include "golden_bits.h"
#include "one_answer.h"
#include "sanitized.h"

namespace cllm {
namespace {

constexpr int kSteps = 20;

struct GoldenCase {
  Precision precision;
  std::int64_t positions;
  double dropout;
  bool bias;
  Family family = Family::kGpt2;
  bool lattice = false;

  std::string name() const {
    const bool gpt2 = family == Family::kGpt2;
    return std::string(precision == Precision::kFp32 ? "fp32" : "bf16") + "-k" +
           std::to_string(positions) + (dropout > 0 ? "-dropout" : "") + (bias ? "" : "-nobias") +
           (gpt2 ? "" : std::string("-") + family_name(family)) + (lattice ? "-lattice" : "");
  }
};

/// All combinations of GPT-2; under a sanitizer, which is ten times slower, four in which every
/// choice occurs twice and no two choices go together. Then each other family in both precisions,
/// and coupled tokens.
std::vector<GoldenCase> golden_cases() {
  const std::set<int> kFewer = {0, 7, 9, 14};
  std::vector<GoldenCase> cases;
  int index = 0;
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    for (const std::int64_t positions : {1, 12}) {
      for (const double dropout : {0.0, 0.1}) {
        for (const bool bias : {true, false}) {
          if (!kSanitized || kFewer.count(index) > 0)
            cases.push_back({precision, positions, dropout, bias});
          ++index;
        }
      }
    }
    for (const Family family : {Family::kLlama, Family::kQwen2, Family::kQwen3}) {
      cases.push_back({precision, 3, family == Family::kLlama ? 0.1 : 0.0, true, family});
    }
  }
  cases.push_back({Precision::kFp32, 12, 0.0, true, Family::kGpt2, true});
  cases.push_back({Precision::kBf16, 1, 0.1, false, Family::kGpt2, true});
  return cases;
}

/// Sixteen hexadecimal digits of the hash of weights and moments after kSteps updates.
std::string train(const GoldenCase& golden, bool pack) {
  const bool gpt2 = golden.family == Family::kGpt2, qwen3 = golden.family == Family::kQwen3;
  const TrainingCase c = {"golden",
                          2,
                          3,
                          36,
                          24,
                          101,
                          26,
                          golden.positions,
                          golden.precision,
                          golden.dropout,
                          golden.family,
                          gpt2 ? 0 : 1,
                          qwen3 ? 10 : 0,
                          golden.lattice};
  SessionConfig config = session_config(c, 4);
  config.model.bias = golden.bias;
  config.pack_always = pack;
  Session session(config);
  ModelState& state = session.state();
  start_weights(state);
  const TextBatches text(c);
  std::vector<std::int32_t> inputs, targets;
  for (int step = 0; step < kSteps; ++step) {
    text.fill(step, inputs, targets);
    EXPECT_FALSE(session.step(step, {inputs.data(), targets.data()}).skipped);
  }
  return digest(state).substr(0, 16);
}

// CLLM_ISA decides the kernels of a process, once: GoldenBits starts this test for each of them.
TEST(GoldenBitsOfOneIsa, AreTheSame) {
  if (std::getenv("CLLM_ISA") == nullptr) GTEST_SKIP() << "GoldenBits runs it";
  const Watchdog watchdog("golden bits", std::chrono::seconds(250));
  const bool print = std::getenv("CLLM_PRINT_GOLDEN") != nullptr;
  const bool is_slow = std::string(kernels().name) == "scalar";
  const auto expected = golden_bits().find(kernels().name);
  if (print) std::printf("{\"%s\", {\n", kernels().name);
  for (const GoldenCase& golden : golden_cases()) {
    const std::string packed = train(golden, true);
    if (!is_slow) {
      EXPECT_EQ(train(golden, false), packed) << golden.name() << ": packing changes no bit";
    }
    if (print) {
      std::printf("  {\"%s\", \"%s\"},\n", golden.name().c_str(), packed.c_str());
      continue;
    }
    ASSERT_NE(expected, golden_bits().end()) << kernels().name;
    EXPECT_EQ(packed, expected->second.at(golden.name())) << golden.name();
  }
  if (print) std::printf("}},\n");
}

TEST(GoldenBits, InEveryInstructionSet) {
  int ran = 0;
  for (const KernelTable* table : runnable_kernels()) {
    const std::string command = std::string("CLLM_ISA=") + table->name +
                                " /proc/$PPID/exe --gtest_brief=1 "
                                "--gtest_filter=GoldenBitsOfOneIsa.*";
    EXPECT_EQ(std::system(command.c_str()), 0) << table->name;
    ++ran;
  }
  EXPECT_GE(ran, 1);
}

}  // namespace
}  // namespace cllm
