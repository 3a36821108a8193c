#include "gemm/native.h"

#include "base/aligned_buffer.h"

namespace cllm {
namespace {

class NativeGemm final : public Gemm {
 public:
  explicit NativeGemm(const KernelTable& kernels)
      : kernels_(kernels), scratch_(kernels.gemm_scratch_floats) {}
  void run(const GemmArgs& args) override { kernels_.gemm(args, scratch_.data()); }
  void run(const Bf16GemmArgs& args) override {
    kernels_.bf16_products.gemm(args, scratch_.data());
  }
  void run(const Bf16WeightGemmArgs& args) override {
    kernels_.bf16_products.gemm_weight(args, scratch_.data());
  }
  void run(const StoredWeightGemmArgs& args) override {
    kernels_.gemm_bf16_weight(args, scratch_.data());
  }
  void run(const PackedGemmArgs<float>& args) override { kernels_.gemm_packed(args); }
  void run(const PackedGemmArgs<Bf16>& args) override { kernels_.bf16_products.gemm_packed(args); }

 private:
  const KernelTable& kernels_;
  AlignedBuffer<float> scratch_;
};

}  // namespace

std::unique_ptr<Gemm> make_native_gemm(const KernelTable& kernels) {
  return std::make_unique<NativeGemm>(kernels);
}

}  // namespace cllm
