// Products by oneDNN are right and repeatable across threads and addresses, and have no side
// effects on the process that loads the library.
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cllm/error.h"
#include "gemm_case.h"

namespace cllm {
namespace {

using ::testing::ExitedWithCode;
using testing::GemmCase;
using testing::GemmCaseOf;
using testing::kGemmForms;
using testing::Matrix;
using testing::same_bits;

#ifdef __SANITIZE_THREAD__
constexpr bool kThreadSanitizer = true;  // oneDNN's OpenMP runtime is not built for it
#else
constexpr bool kThreadSanitizer = false;
#endif

std::string describe() { return describe_gemm_backend(GemmBackend::kOneDnn, kernels()); }

class OneDnnGemm : public ::testing::Test {
 protected:
  void SetUp() override {
    if (kThreadSanitizer) GTEST_SKIP() << "not under ThreadSanitizer";
    if (!gemm_backend_available(GemmBackend::kOneDnn)) GTEST_SKIP() << describe();
  }
};

/// What happens at the first load is looked at in a fresh process, which runs the test from its
/// start: nothing before the exit may load the library there.
class OneDnnProcess : public ::testing::Test {
 protected:
  void SetUp() override {
    if (kThreadSanitizer) GTEST_SKIP() << "not under ThreadSanitizer";
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }
};

TEST_F(OneDnnGemm, IsRight) {
  const std::unique_ptr<Gemm> gemm = make_gemm(GemmBackend::kOneDnn, kernels());
  for (const GemmForm form : kGemmForms) {
    for (const bool accumulate : {false, true}) {
      for (const auto& [m, n, k] : std::vector<std::array<std::int64_t, 3>>{{1, 1, 1},
                                                                            {1, 17, 5},
                                                                            {7, 1, 33},
                                                                            {5, 16, 1},
                                                                            {60, 101, 65},
                                                                            {64, 64, 700},
                                                                            {1, 300, 256}}) {
        for (const std::int64_t gap : {0, 5}) {
          GemmCase test(form, m, n, k, accumulate, gap, gap);
          const Matrix before = test.c;
          gemm->run(test.args());
          test.expect_right(before);
        }
      }
    }
  }
}

TEST_F(OneDnnGemm, IsRightForBf16) {
  if (!gemm_backend_takes_bf16(GemmBackend::kOneDnn)) GTEST_SKIP() << describe();
  const std::unique_ptr<Gemm> gemm = make_gemm(GemmBackend::kOneDnn, kernels());
  for (const GemmForm form : kGemmForms) {
    for (const bool accumulate : {false, true}) {
      for (const auto& [m, n, k] : std::vector<std::array<std::int64_t, 3>>{
               {1, 1, 1}, {1, 17, 5}, {7, 1, 33}, {60, 101, 65}, {64, 64, 700}}) {
        GemmCaseOf<Bf16> both(form, m, n, k, accumulate, k % 3, n % 4);
        GemmCaseOf<Bf16, float> weight(form, m, n, k, accumulate, n % 4, k % 3);
        const Matrix before = both.c, before_weight = weight.c;
        gemm->run(both.args());
        gemm->run(weight.args());
        both.expect_right(before);
        weight.expect_right(before_weight);
      }
    }
  }
}

TEST_F(OneDnnGemm, TheSameCallGivesTheSameBitsOnEveryThreadAndAddress) {
  constexpr std::size_t kThreads = 3;
  for (const GemmForm form : kGemmForms) {
    GemmCase first(form, 64, 96, 800, true, 8, 0);
    make_gemm(GemmBackend::kOneDnn, kernels())->run(first.args());
    std::vector<GemmCase> others;
    for (std::size_t t = 0; t < kThreads; ++t) {
      others.emplace_back(form, 64, 96, 800, true, 8, static_cast<std::int64_t>(t) * 5 + 1);
    }
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back(
          [&other = others[t]] { make_gemm(GemmBackend::kOneDnn, kernels())->run(other.args()); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const GemmCase& other : others) EXPECT_TRUE(same_bits(first.c, other.c)) << other.name();
  }
}

TEST_F(OneDnnGemm, ComputesOnTheCallingThreadAlone) {
  const auto threads = [] {
    int count = 0;
    FILE* status = std::fopen("/proc/self/status", "r");
    char line[256];
    while (status != nullptr && std::fgets(line, sizeof line, status) != nullptr) {
      if (std::sscanf(line, "Threads: %d", &count) == 1) break;
    }
    if (status != nullptr) std::fclose(status);
    return count;
  };
  const std::unique_ptr<Gemm> gemm = make_gemm(GemmBackend::kOneDnn, kernels());
  const int before = threads();
  GemmCase large(GemmForm::kNN, 512, 256, 384, false);
  gemm->run(large.args());
  EXPECT_EQ(threads(), before);
}

TEST_F(OneDnnProcess, LoadingKeepsTheCoresAndTheEnvironment) {
  cpu_set_t cores;
  ASSERT_EQ(sched_getaffinity(0, sizeof cores, &cores), 0);
  if (CPU_COUNT(&cores) < 2) GTEST_SKIP() << "one core: nothing to lose";
  const auto load = [&cores] {
    setenv("OMP_PROC_BIND", "true", 1);
    setenv("GOMP_CPU_AFFINITY", "0", 1);
    if (!gemm_backend_available(GemmBackend::kOneDnn)) return 0;
    GemmCase test(GemmForm::kNN, 64, 64, 64, false);
    make_gemm(GemmBackend::kOneDnn, kernels())->run(test.args());
    cpu_set_t after;
    if (sched_getaffinity(0, sizeof after, &after) != 0 || !CPU_EQUAL(&cores, &after)) return 1;
    if (std::string(std::getenv("OMP_PROC_BIND")) != "true") return 2;
    if (std::string(std::getenv("GOMP_CPU_AFFINITY")) != "0") return 3;
    return 0;
  };
  EXPECT_EXIT(std::exit(load()), ExitedWithCode(0), "");
  if (!gemm_backend_available(GemmBackend::kOneDnn)) GTEST_SKIP() << describe();
}

TEST_F(OneDnnProcess, TheInstructionSetIsLimitedToo) {
  if (find_kernels("avx2") == nullptr) GTEST_SKIP() << "no avx2 here";
  const auto print = [] {
    setenv("CLLM_ISA", "avx2", 1);
    std::fprintf(stderr, "<%s>\n", describe().c_str());
    return 0;
  };
  EXPECT_EXIT(std::exit(print()), ExitedWithCode(0), "<onednn (3\\.[0-9.]+ avx2>|not available)");
  if (!gemm_backend_available(GemmBackend::kOneDnn)) GTEST_SKIP() << describe();
}

// The library tells which of its implementations multiplied: brg:avx512_core or gemm:jit here.
TEST_F(OneDnnProcess, ProductsUseTheLimitedInstructionSet) {
  const auto check = [](const char* isa, bool avx512) {
    setenv("CLLM_ISA", isa, 1);
    setenv("ONEDNN_VERBOSE", "1", 1);
    if (!gemm_backend_available(GemmBackend::kOneDnn)) return 0;
    FILE* const said = std::tmpfile();
    if (said == nullptr || dup2(fileno(said), STDOUT_FILENO) < 0) return 1;
    GemmCase product(GemmForm::kNN, 64, 64, 64, false);
    make_gemm(GemmBackend::kOneDnn, kernels())->run(product.args());
    std::fflush(stdout);
    std::rewind(said);
    char line[1024];
    while (std::fgets(line, sizeof line, said) != nullptr) {
      if (std::strstr(line, ",exec,cpu,matmul,") == nullptr) continue;
      return (std::strstr(line, "avx512") != nullptr) == avx512 ? 0 : 2;
    }
    return 3;
  };
  if (find_kernels("avx2") != nullptr) {
    EXPECT_EXIT(std::exit(check("avx2", false)), ExitedWithCode(0), "");
  }
  if (find_kernels("avx512") != nullptr) {
    EXPECT_EXIT(std::exit(check("avx512", true)), ExitedWithCode(0), "");
  }
  if (!gemm_backend_available(GemmBackend::kOneDnn)) GTEST_SKIP() << describe();
}

TEST_F(OneDnnProcess, Bf16BelowAvx512IsAnInputErrorWithAHint) {
  const auto choose = [] {
    setenv("CLLM_ISA", "scalar", 1);
    if (gemm_backend_available(GemmBackend::kOneDnn)) choose_gemm_backend("onednn", false);
    try {
      choose_gemm_backend("onednn", true);
    } catch (const InputError& error) {
      std::fprintf(stderr, "%s\n", error.what());
      return 0;
    }
    return 1;
  };
  EXPECT_EXIT(std::exit(choose()), ExitedWithCode(0),
              "got onednn 3.* sse41.*--gemm native|not available");
  if (!gemm_backend_available(GemmBackend::kOneDnn)) GTEST_SKIP() << describe();
}

TEST_F(OneDnnProcess, AMissingLibraryIsAnInputErrorWithAHint) {
  const auto make = [] {
    setenv("CLLM_ONEDNN_LIBRARY", "/nowhere/libdnnl.so.3", 1);
    if (gemm_backend_available(GemmBackend::kOneDnn)) return 1;
    try {
      make_gemm(GemmBackend::kOneDnn, kernels());
    } catch (const InputError& error) {
      std::fprintf(stderr, "%s\n", error.what());
      return 0;
    }
    return 2;
  };
  EXPECT_EXIT(std::exit(make()), ExitedWithCode(0),
              "/nowhere/libdnnl.*pip install onednn-devel|left out of this build");
}

}  // namespace
}  // namespace cllm
