#include "train/gemm_peak.h"

#include <algorithm>
#include <atomic>

#include "base/aligned_buffer.h"
#include "base/clock.h"

namespace cllm {

namespace {

void set(float& to, float value) { to = value; }
void set(Bf16& to, float value) { to = to_bf16(value); }

template <class T>
double measure(GemmBackend backend, const KernelTable& kernels) {
  constexpr std::int64_t kSize = 768;
  constexpr std::uint64_t kEnoughNs = 50'000'000;
  constexpr std::size_t kElements =
      static_cast<std::size_t>(kSize) * static_cast<std::size_t>(kSize);
  AlignedBuffer<T> a(kElements);
  AlignedBuffer<float> b(kElements), c(kElements);
  for (std::size_t i = 0; i < kElements; ++i) {
    set(a[i], static_cast<float>(i % 7) - 3.0f);
    b[i] = static_cast<float>(i % 5) - 2.0f;
  }
  const std::unique_ptr<Gemm> gemm = make_gemm(backend, kernels);
  const GemmArgsOf<T, float> product{GemmForm::kNN, kSize, kSize,    kSize, a.data(), kSize,
                                     b.data(),      kSize, c.data(), kSize, false};
  std::uint64_t best = ~std::uint64_t{0}, spent = 0;
  for (int run = 0; run < 3 || spent < kEnoughNs; ++run) {
    const std::uint64_t start = now_ns();
    gemm->run(product);
    const std::uint64_t time = now_ns() - start;
    spent += time;
    if (run > 0) best = std::min(best, time);  // the first one also touches memory
  }
  return 2.0 * static_cast<double>(kSize * kSize * kSize) / static_cast<double>(best);
}

}  // namespace

double measure_gemm_peak(GemmBackend backend, const KernelTable& kernels, Precision precision) {
  // By backend and precision; 0: not yet. Two may measure at once.
  static std::atomic<double> known[2][2];
  const bool bf16 = precision == Precision::kBf16;
  std::atomic<double>& peak = known[backend == GemmBackend::kNative ? 0 : 1][bf16 ? 1 : 0];
  if (peak.load() == 0) {
    peak.store(bf16 ? measure<Bf16>(backend, kernels) : measure<float>(backend, kernels));
  }
  return peak.load();
}

}  // namespace cllm
