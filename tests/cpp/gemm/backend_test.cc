// These tests check the names of the backends and what is said of each.
#include <gtest/gtest.h>

#include "cllm/error.h"
#include "gemm/gemm.h"

namespace cllm {
namespace {

TEST(GemmBackend, NamesAreRead) {
  for (const GemmBackend backend : {GemmBackend::kNative, GemmBackend::kOneDnn}) {
    EXPECT_EQ(parse_gemm_backend(gemm_backend_name(backend)), backend);
  }
}

TEST(GemmBackend, AnUnknownNameIsRefusedWithThoseThatExist) {
  for (const char* name : {"", "mkl", "Native", "onednn "}) {
    try {
      parse_gemm_backend(name);
      ADD_FAILURE() << "'" << name << "' was taken";
    } catch (const InputError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("'" + std::string(name) + "'"), std::string::npos) << text;
      EXPECT_NE(text.find("native or onednn"), std::string::npos) << text;
    }
  }
}

TEST(GemmBackend, TheDefaultCanBeMade) {
  ASSERT_TRUE(gemm_backend_available(default_gemm_backend()));
  EXPECT_NE(make_gemm(default_gemm_backend(), kernels()), nullptr);
}

TEST(GemmBackend, NativeNamesItsKernels) {
  for (const char* name : {"scalar", "avx2", "avx512", "avx512bf16"}) {
    if (const KernelTable* table = find_kernels(name)) {
      EXPECT_EQ(describe_gemm_backend(GemmBackend::kNative, *table), std::string("native ") + name);
    }
  }
}

}  // namespace
}  // namespace cllm
