// These tests check which table is chosen, what CLLM_ISA may say, and that a table is what its name
// claims.
#include "cpu/features.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "cllm/error.h"

namespace cllm {
namespace {

std::string refusal(const char* wanted, const std::vector<const KernelTable*>& runnable) {
  try {
    choose_kernels(wanted, runnable);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

TEST(KernelChoice, TablesAreTheIsaTheyClaim) {
  for (const KernelTable* table : runnable_kernels()) {
    const int floats = std::strncmp(table->name, "avx512", 6) == 0 ? 16
                       : std::strcmp(table->name, "avx2") == 0     ? 8
                                                                   : 1;
    EXPECT_EQ(table->vector_floats, floats) << table->name;
    EXPECT_EQ(table->bf16_units, std::strcmp(table->name, "avx512bf16") == 0) << table->name;
    EXPECT_EQ(find_kernels(table->name), table);
  }
  EXPECT_STREQ(runnable_kernels().back()->name, "scalar");
}

TEST(KernelChoice, TablesThatRunAreThoseOfTheCpu) {
  EXPECT_NE(find_kernels("scalar"), nullptr);
  EXPECT_EQ(find_kernels("neon"), nullptr);
#ifdef __x86_64__
  if (runnable_kernels().size() == 1) GTEST_SKIP() << "a build or a CPU without SIMD";
  EXPECT_TRUE(find_kernels("avx2") != nullptr && __builtin_cpu_supports("avx2"));
  EXPECT_EQ(find_kernels("avx512") != nullptr,
            __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
  EXPECT_EQ(find_kernels("avx512bf16") != nullptr,
            find_kernels("avx512") != nullptr && __builtin_cpu_supports("avx512bf16"));
#endif
}

TEST(KernelChoice, IsasShareNoFunction) {
  // An entry merged by the linker would run one ISA's instructions under the other's name.
  const std::vector<const KernelTable*> tables = runnable_kernels();
  for (std::size_t a = 0; a < tables.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      EXPECT_NE(tables[a]->gemm, tables[b]->gemm);
      EXPECT_NE(tables[a]->attention_forward, tables[b]->attention_forward);
      EXPECT_NE(tables[a]->layernorm_forward, tables[b]->layernorm_forward);
      EXPECT_NE(tables[a]->bias_gelu, tables[b]->bias_gelu);
      EXPECT_NE(tables[a]->bf16.bias_gelu, tables[b]->bf16.bias_gelu);
      EXPECT_NE(tables[a]->softmax_stats, tables[b]->softmax_stats);
      EXPECT_NE(tables[a]->adamw, tables[b]->adamw);
    }
  }
}

TEST(KernelChoice, EveryEntryIsFilled) {
  for (const KernelTable* t : runnable_kernels()) {
    EXPECT_TRUE(t->gemm && t->gemm_weight && t->pack_weight && t->gemm_packed);
    EXPECT_TRUE(t->bf16_products.gemm && t->bf16_products.gemm_weight &&
                t->gemm_scratch_floats > 0);
    EXPECT_TRUE(t->bf16_products.pack_weight && t->bf16_products.gemm_packed);
    EXPECT_TRUE(t->attention_forward && t->attention_backward && t->attention_scratch_floats);
    EXPECT_TRUE(t->layernorm_forward && t->layernorm_backward && t->bias_add && t->bias_residual);
    EXPECT_TRUE(t->bias_gelu && t->gelu_backward && t->column_sums && t->softmax_stats);
    EXPECT_TRUE(t->softmax_gradient && t->add && t->ordered_sum && t->sum_squares && t->adamw);
    EXPECT_TRUE(t->exp && t->tanh);
  }
}

TEST(KernelChoice, UnsetMeansTheBestAndANameMeansThatOne) {
  const std::vector<const KernelTable*> runnable = runnable_kernels();
  EXPECT_EQ(&choose_kernels(nullptr, runnable), runnable.front());
  EXPECT_EQ(&choose_kernels("", runnable), runnable.front());
  EXPECT_STREQ(choose_kernels("scalar", runnable).name, "scalar");
  for (const KernelTable* table : runnable) {
    EXPECT_EQ(&choose_kernels(table->name, runnable), table);
  }
}

TEST(KernelChoice, UnknownNameIsRefusedWithTheNamesThatRun) {
  const std::string text = refusal("AVX2", runnable_kernels());
  EXPECT_TRUE(contains(text, "CLLM_ISA")) << text;
  EXPECT_TRUE(contains(text, "no instruction set of that name")) << text;
  EXPECT_TRUE(contains(text, "'AVX2'")) << text;
  for (const KernelTable* table : runnable_kernels()) {
    EXPECT_TRUE(contains(text, table->name)) << text;
  }
}

TEST(KernelChoice, NameThatCannotRunIsRefusedNotReplaced) {
  KernelTable scalar{};
  scalar.name = "scalar";
  const std::string text = refusal("avx512", {&scalar});
  EXPECT_TRUE(contains(text, "cannot run the instruction set: got 'avx512', expected scalar"))
      << text;
}

TEST(KernelChoice, TableInUseObeysTheEnvironment) {
  const char* wanted = std::getenv("CLLM_ISA");
  const std::vector<const KernelTable*> runnable = runnable_kernels();
  if (wanted != nullptr && *wanted != '\0' && find_kernels(wanted) == nullptr) {
    EXPECT_THROW(kernels(), InputError);
  } else {
    EXPECT_EQ(&kernels(), &choose_kernels(wanted, runnable));
    EXPECT_EQ(&kernels(), &kernels());
  }
}

TEST(CpuModel, IsPrintableAndTrimmed) {
  const std::string name = cpu_model();
  ASSERT_FALSE(name.empty());
  EXPECT_NE(name.front(), ' ');
  EXPECT_NE(name.back(), ' ');
  EXPECT_TRUE(std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; }))
      << name;
}

}  // namespace
}  // namespace cllm
