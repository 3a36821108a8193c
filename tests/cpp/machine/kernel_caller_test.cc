// These tests say which kernels a machine is measured with and where calls find their operands.
#include "machine/kernel_caller.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "cpu/features.h"

namespace cllm {
namespace {

std::vector<KernelGrid> all_grids() {
  std::vector<KernelGrid> grids = kernel_grids();
  for (const KernelGrid& grid : kernel_grids(Precision::kBf16)) grids.push_back(grid);
  return grids;
}

TEST(KernelGrids, EveryKernelCanBeCalledAtTheCornersOfItsGrid) {
  constexpr std::int64_t kKib = 8 << 10;
  KernelCaller caller(GemmBackend::kNative, kernels(), kKib);
  std::set<std::string> names;
  for (const KernelGrid& grid : all_grids()) {
    EXPECT_TRUE(names.insert(grid.name).second) << grid.name;
    for (bool largest : {false, true}) {
      std::vector<std::int64_t> point;
      for (const auto& axis : grid.axes) point.push_back(largest ? axis.back() : axis.front());
      const auto call = caller.call(grid, point);
      for (int i = 0; i < 3; ++i) call();
      EXPECT_GT(grid.work(point), 0) << grid.name;
      EXPECT_GT(grid.what->bytes_moved(kernels(), grid.sizes(point)), 0) << grid.name;
    }
    for (const auto& axis : grid.axes) {
      EXPECT_TRUE(std::is_sorted(axis.begin(), axis.end())) << grid.name;
    }
  }
  EXPECT_THROW(kernel_grid("gemm_xx"), std::invalid_argument);
}

TEST(KernelGrids, KeepTheNamesThatMeasurementsHave) {
  for (const char* name : {"gemm_nn", "gemm_nt", "gemm_tn", "gemm_packed", "attention_forward",
                           "attention_backward", "norm_forward", "norm_backward", "bias_add",
                           "bias_gelu", "gelu_backward", "column_sums", "softmax_gradient"}) {
    EXPECT_FALSE(kernel_grid(name).what->bf16) << name;
    EXPECT_TRUE(kernel_grid("bf16_" + std::string(name)).what->bf16) << name;
  }
  for (const char* name :
       {"bias_residual", "softmax_stats", "add", "sum_2", "sum_3", "sum_squares", "adamw"}) {
    EXPECT_FALSE(kernel_grid(name).what->bf16) << name;
  }
}

// -- where operands are -------------------------------------------------------------------------

using Pointers = std::vector<const void*>;
std::vector<Pointers> seen;  // the kernels below record here what they are called on

template <class... P>
void record(P... pointers) {
  seen.push_back({static_cast<const void*>(pointers)...});
}

KernelTable recording_table() {
  KernelTable table = kernels();
  table.bias_residual = [](std::int64_t, std::int64_t, const float* bias,
                           MatrixView<const float> residual,
                           MatrixView<float> x) { record(bias, residual.data, x.data); };
  table.gemm = [](const GemmArgs& args, float*) {
    EXPECT_EQ(args.accumulate, args.form == GemmForm::kTN);
    record(args.a.data, args.b.data, args.c.data);
  };
  table.gemm_packed = [](const PackedGemmArgs<float>& args) {
    record(args.a.data, args.panels, args.c.data);
  };
  table.attention_forward = [](const AttentionArgs<float>& args) {
    EXPECT_EQ(args.ld_qkv, 3 * args.ld_out);
    record(args.lse, args.q, args.k, args.v, args.out);
  };
  table.bf16.softmax_gradient = [](std::int64_t, std::int64_t, MatrixView<const float> logits,
                                   const float* lse, const std::int32_t*, std::int64_t, float,
                                   MatrixView<Bf16> out) {
    EXPECT_EQ(static_cast<const void*>(logits.data), out.data);
    record(lse, out.data);
  };
  return table;
}

/// Returns the operands of `calls` calls of a kernel at a point.
std::vector<Pointers> places_of(const char* name, const std::vector<std::int64_t>& point,
                                std::size_t calls) {
  const KernelTable table = recording_table();
  KernelCaller caller(GemmBackend::kNative, table, 64 << 10);
  const auto call = caller.call(kernel_grid(name), point);
  seen.clear();
  for (std::size_t i = 0; i < calls; ++i) call();
  EXPECT_EQ(seen.size(), calls);
  return seen;
}

/// The first operand stays; the others come round again after so many places.
void check_places(const std::vector<Pointers>& calls, std::size_t places) {
  ASSERT_EQ(calls.size(), 2 * places);
  std::vector<std::set<const void*>> distinct(calls[0].size());
  for (std::size_t c = 0; c < calls.size(); ++c) {
    EXPECT_EQ(calls[c], calls[c % places]);
    for (std::size_t i = 0; i < distinct.size(); ++i) distinct[i].insert(calls[c][i]);
  }
  EXPECT_EQ(distinct[0].size(), 1u);
  for (std::size_t i = 1; i < distinct.size(); ++i) EXPECT_EQ(distinct[i].size(), places) << i;
}

std::ptrdiff_t between(const void* a, const void* b) {
  return static_cast<const char*>(b) - static_cast<const char*>(a);
}

TEST(KernelCaller, PassesOverRowsWanderAndVectorsStay) {
  const std::size_t places = 384 * 1024 / (2 * 16 * 768 * 4);
  const auto calls = places_of("bias_residual", {16, 768, 384}, 2 * places);
  check_places(calls, places);
  std::set<const void*> all;
  for (const Pointers& call : calls) all.insert(call.begin() + 1, call.end());
  const std::vector<const void*> in_order(all.begin(), all.end());
  for (std::size_t i = 1; i < in_order.size(); ++i) {
    EXPECT_GE(between(in_order[i - 1], in_order[i]), 16 * 768 * 4);
  }
  EXPECT_LE(between(in_order.front(), in_order.back()), 384 * 1024 - 16 * 768 * 4);
}

TEST(KernelCaller, ProductsKeepTheirRowsAndTakeNewWeightsAndResults) {
  const std::int64_t m = 16, n = 64, k = 256, kib = 2048;
  const std::size_t places = kib * 1024 / ((n * k + m * n) * 4);
  for (const char* name : {"gemm_nn", "gemm_nt", "gemm_tn", "gemm_packed"}) {
    SCOPED_TRACE(name);
    check_places(places_of(name, {m, n, k, kib}, 2 * places), places);
  }
}

TEST(KernelCaller, AttentionTakesTheHeadsOfARowInTurn) {
  const auto calls = places_of("attention_forward", {64, 32}, 8);
  check_places(calls, 4);
  for (std::size_t i = 1; i < calls[0].size(); ++i) {
    std::set<const void*> heads;
    for (const Pointers& call : calls) heads.insert(call[i]);
    EXPECT_EQ(between(*heads.begin(), *heads.rbegin()), 3 * 32 * 4) << i;
  }
}

TEST(KernelCaller, GradientsOfLogitsAreWrittenOverThem) {
  const std::size_t places = 384 * 1024 / (64 * 512 * 4);
  check_places(places_of("bf16_softmax_gradient", {64, 512, 384}, 2 * places), places);
}

TEST(KernelCaller, WhatDoesNotFitIsRefused) {
  KernelCaller caller(GemmBackend::kNative, kernels(), 1);
  EXPECT_THROW(caller.call(kernel_grid("adamw"), {8 << 20, 1}), std::invalid_argument);
}

}  // namespace
}  // namespace cllm
