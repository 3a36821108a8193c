// A test of this kind runs once for every instruction set, and is skipped where that cannot run.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "cpu/features.h"

namespace cllm {

class IsaTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    table_ = find_kernels(GetParam());
    if (table_ == nullptr) GTEST_SKIP() << GetParam() << " cannot run here";
    ASSERT_STREQ(table_->name, GetParam());
  }

  const KernelTable* table_ = nullptr;
};

}  // namespace cllm

/// Instantiates a suite that is an IsaTest.
#define CLLM_IN_EVERY_ISA(Suite)                                                        \
  INSTANTIATE_TEST_SUITE_P(Isa, Suite,                                                  \
                           ::testing::Values("scalar", "avx2", "avx512", "avx512bf16"), \
                           [](const auto& suite) { return std::string(suite.param); })
