// Matrix products of a training step, native beside oneDNN: one thread, GFLOP/s.
//
// The tiles of two models: 384 wide (6 layers, T 256) and GPT-2's 768 (vocabulary 50304). Operands
// lie as in a step: leading dimensions are those of whole matrices, of which a tile is a part.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/aligned_buffer.h"
#include "gemm/gemm.h"

namespace cllm {
namespace {

struct Shape {
  const char* what;
  GemmForm form;
  std::int64_t m, n, k, lda, ldb, ldc;
  bool accumulate;
};

constexpr GemmForm kNN = GemmForm::kNN, kNT = GemmForm::kNT, kTN = GemmForm::kTN;
constexpr Shape kShapes[] = {
    {"forward qkv 384", kNN, 512, 384, 384, 384, 1152, 1152, false},
    {"forward out 384", kNN, 512, 128, 384, 384, 384, 384, false},
    {"forward fc 128", kNN, 768, 256, 128, 128, 512, 512, false},
    {"forward qkv 768", kNN, 512, 256, 768, 768, 2304, 2304, false},
    {"forward fc 768", kNN, 256, 512, 768, 768, 3072, 3072, false},
    {"forward proj 768", kNN, 512, 128, 3072, 3072, 768, 768, false},
    {"dx fc 384", kNT, 512, 128, 1536, 1536, 1536, 384, false},
    {"dx qkv 768", kNT, 256, 256, 2304, 2304, 2304, 768, false},
    {"dx fc 768", kNT, 512, 256, 3072, 3072, 3072, 768, false},
    {"dx proj 768", kNT, 512, 512, 768, 768, 768, 3072, false},
    {"dw fc 384", kTN, 384, 768, 512, 384, 1536, 1536, true},
    {"dw fc 768", kTN, 768, 384, 512, 768, 3072, 3072, true},
    {"dw proj 768", kTN, 768, 384, 1024, 3072, 768, 768, true},
    {"dw out 128", kTN, 128, 128, 768, 128, 128, 128, true},
    {"logits 768", kNT, 512, 1024, 768, 768, 768, 1024, false},
    {"logits 768 few rows", kNT, 256, 512, 768, 768, 768, 50304, false},
    {"dxf 768", kNN, 256, 128, 50304, 50304, 768, 768, false},
    {"dxf 768 narrow", kNN, 256, 64, 50304, 50304, 768, 768, false},
    {"dwte 768", kTN, 1024, 768, 256, 1024, 768, 768, true},
    {"dwte 768 long", kTN, 1024, 768, 512, 1024, 768, 768, true},
    {"token fc 768", kNN, 1, 3072, 768, 768, 3072, 3072, false},
    {"4 tokens fc 768", kNN, 4, 3072, 768, 768, 3072, 3072, false},
    {"token logits 768", kNT, 1, 50304, 768, 768, 768, 50304, false},
    {"4 tokens logits 768", kNT, 4, 50304, 768, 768, 768, 50304, false},
};

AlignedBuffer<float> random_matrix(std::int64_t size) {
  AlignedBuffer<float> matrix(static_cast<std::size_t>(size));
  std::uint32_t state = 1;
  for (float& x : matrix.span()) {
    state = state * 1664525u + 1013904223u;
    x = static_cast<float>(state >> 8) * 0x1p-24f - 0.5f;
  }
  return matrix;
}

void run_shape(benchmark::State& state, GemmBackend backend, const Shape& s) {
  const std::unique_ptr<Gemm> gemm = make_gemm(backend, kernels());
  const AlignedBuffer<float> a = random_matrix(s.lda * (s.form == kTN ? s.k : s.m));
  const AlignedBuffer<float> b = random_matrix(s.ldb * (s.form == kNT ? s.n : s.k));
  AlignedBuffer<float> c = random_matrix(s.ldc * s.m);
  const GemmArgs args = {s.form,   s.m,   s.n,      s.k,   a.data(),    s.lda,
                         b.data(), s.ldb, c.data(), s.ldc, s.accumulate};
  gemm->run(args);
  for (auto _ : state) gemm->run(args);
  benchmark::DoNotOptimize(c.data());
  const double flops = 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) *
                       static_cast<double>(s.k) * static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsRate);
}

}  // namespace
}  // namespace cllm

int main(int argc, char** argv) {
  using namespace cllm;
  benchmark::AddCustomContext("native", describe_gemm_backend(GemmBackend::kNative, kernels()));
  benchmark::AddCustomContext("onednn", describe_gemm_backend(GemmBackend::kOneDnn, kernels()));
  for (const Shape& shape : kShapes) {
    for (const GemmBackend backend : {GemmBackend::kNative, GemmBackend::kOneDnn}) {
      if (!gemm_backend_available(backend)) continue;
      const std::string name = std::string(shape.what) + "/" + std::to_string(shape.m) + "x" +
                               std::to_string(shape.n) + "x" + std::to_string(shape.k) + "/" +
                               gemm_backend_name(backend);
      benchmark::RegisterBenchmark(name.c_str(), [backend, &shape](benchmark::State& state) {
        run_shape(state, backend, shape);
      });
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
