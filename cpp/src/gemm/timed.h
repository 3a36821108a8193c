// These products add up their time, for benchmarks.
#pragma once

#include <utility>

#include "base/clock.h"
#include "gemm/gemm.h"

namespace cllm {

class TimedGemm final : public Gemm {
 public:
  explicit TimedGemm(std::unique_ptr<Gemm> inner) : inner_(std::move(inner)) {}

  void run(const GemmArgs& args) override { time(args); }
  void run(const Bf16GemmArgs& args) override { time(args); }
  void run(const Bf16WeightGemmArgs& args) override { time(args); }
  void run(const StoredWeightGemmArgs& args) override { time(args); }
  void run(const PackedGemmArgs<float>& args) override { time(args); }
  void run(const PackedGemmArgs<Bf16>& args) override { time(args); }

  /// Returns the time spent inside products since the last call.
  std::uint64_t take_ns() noexcept { return std::exchange(ns_, 0); }

 private:
  template <class Args>
  void time(const Args& args) {
    const std::uint64_t start = now_ns();
    inner_->run(args);
    ns_ += now_ns() - start;
  }

  std::unique_ptr<Gemm> inner_;
  std::uint64_t ns_ = 0;
};

}  // namespace cllm
