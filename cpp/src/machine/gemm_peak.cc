#include "machine/gemm_peak.h"

#include <algorithm>
#include <atomic>

#include "base/aligned_buffer.h"
#include "base/clock.h"

namespace cllm {

namespace {

void set(float& to, float value) { to = value; }
void set(Bf16& to, float value) { to = to_bf16(value); }

constexpr std::int64_t kLargest = 768;
constexpr std::uint64_t kEnoughNs = 25'000'000;  // for one kind of product: some dozens of calls

/// Returns the GFLOP/s of the fastest of many m x n x k products.
template <class Product>
double best_rate(std::int64_t m, std::int64_t n, std::int64_t k, const Product& product) {
  product();  // touches memory, and makes what the library makes once
  std::uint64_t best = ~std::uint64_t{0}, spent = 0;
  for (int run = 0; run < 3 || spent < kEnoughNs; ++run) {
    const std::uint64_t start = now_ns();
    product();
    const std::uint64_t time = std::max<std::uint64_t>(now_ns() - start, 1);
    spent += time;
    best = std::min(best, time);
  }
  return 2.0 * static_cast<double>(m * n * k) / static_cast<double>(best);
}

template <class T>
double measure(GemmBackend backend, const KernelTable& kernels) {
  constexpr std::int64_t kSize = kLargest;
  constexpr std::size_t kElements =
      static_cast<std::size_t>(kSize) * static_cast<std::size_t>(kSize);
  AlignedBuffer<T> a(kElements);
  AlignedBuffer<float> b(kElements), c(kElements);
  for (std::size_t i = 0; i < kElements; ++i) {
    set(a[i], static_cast<float>(i % 7) - 3.0f);
    b[i] = static_cast<float>(i % 5) - 2.0f;
  }
  const std::unique_ptr<Gemm> gemm = make_gemm(backend, kernels);
  double peak = 0;
  // One product is large; the operands of the other stay in the caches next to the core.
  for (const std::int64_t size : {kSize, kSize / 4}) {
    const GemmArgsOf<T, float> product{
        GemmForm::kNN,    size, size, size, {a.data(), size}, {b.data(), size},
        {c.data(), size}, false};
    peak = std::max(peak, best_rate(size, size, size, [&] { gemm->run(product); }));
  }
  if (backend != GemmBackend::kNative) return peak;
  // A step does this with most of its weights.
  constexpr std::int64_t kRows = 128;
  AlignedBuffer<T> panels(static_cast<std::size_t>(packed_size<T>(kSize, kSize)));
  product_kernels<T>(kernels).pack_weight(
      {GemmForm::kNN, kSize, kSize, {b.data(), kSize}, panels.data(), kSize});
  const PackedGemmArgs<T> packed{
      kRows, kSize, kSize, {a.data(), kSize}, panels.data(), {c.data(), kSize}, false};
  return std::max(peak, best_rate(kRows, kSize, kSize, [&] { gemm->run(packed); }));
}

}  // namespace

double measure_gemm_peak(GemmBackend backend, const KernelTable& kernels, Precision precision) {
  // Indices are backend and precision; 0: not measured yet. Two threads may measure at once.
  static std::atomic<double> known[2][2];
  const bool bf16 = precision == Precision::kBf16;
  std::atomic<double>& peak = known[backend == GemmBackend::kNative ? 0 : 1][bf16 ? 1 : 0];
  if (peak.load() == 0) {
    peak.store(bf16 ? measure<Bf16>(backend, kernels) : measure<float>(backend, kernels));
  }
  return peak.load();
}

}  // namespace cllm
