// Matrix products of a training step: one thread, GFLOP/s.
//
// Single tiles of two models, native beside oneDNN: 384 wide (6 layers, T 256) and GPT-2's 768
// (vocabulary 50304). Operands lie as in a step: leading dimensions are those of whole matrices, of
// which a tile is a part.
//
// "cut/": whole products of a layer, fp32 and bf16, cut in tiles as a step cuts them, with the
// weight packed by every tile or once before. What they report is the best of their turns; "peak%"
// is its share of the best 768-cubed product of packed operands among those that run in turn.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>

#include "base/aligned_buffer.h"
#include "base/clock.h"
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

void assign(float x, float* out) { *out = x; }
void assign(float x, Bf16* out) { *out = to_bf16(x); }

template <class T>
AlignedBuffer<T> random_matrix(std::int64_t size) {
  AlignedBuffer<T> matrix(static_cast<std::size_t>(size));
  std::uint32_t state = 1;
  for (T& x : matrix.span()) {
    state = state * 1664525u + 1013904223u;
    assign(static_cast<float>(state >> 8) * 0x1p-24f - 0.5f, &x);
  }
  return matrix;
}

void run_shape(benchmark::State& state, GemmBackend backend, const Shape& s) {
  const std::unique_ptr<Gemm> gemm = make_gemm(backend, kernels());
  const AlignedBuffer<float> a = random_matrix<float>(s.lda * (s.form == kTN ? s.k : s.m));
  const AlignedBuffer<float> b = random_matrix<float>(s.ldb * (s.form == kNT ? s.n : s.k));
  AlignedBuffer<float> c = random_matrix<float>(s.ldc * s.m);
  const GemmArgs args = {
      s.form, s.m, s.n, s.k, {a.data(), s.lda}, {b.data(), s.ldb}, {c.data(), s.ldc}, s.accumulate};
  gemm->run(args);
  for (auto _ : state) gemm->run(args);
  benchmark::DoNotOptimize(c.data());
  const double flops = 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) *
                       static_cast<double>(s.k) * static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsRate);
}

/// The rows of a shard times a weight [k, n], or times its transpose; or a weight's gradient [m, n]
/// from k rows.
struct WholeProduct {
  const char* what;
  GemmForm form;
  std::int64_t m, n, k;
};

constexpr WholeProduct kWholeProducts[] = {
    {"A qkv", kNN, 768, 384, 128},         {"A output", kNN, 768, 128, 512},
    {"A dx output", kNT, 768, 512, 128},   {"A dx hidden", kNT, 768, 128, 512},
    {"B hidden", kNN, 1024, 1536, 384},    {"B dx hidden", kNT, 1024, 384, 1536},
    {"E hidden", kNN, 1024, 2048, 512},    {"E dx hidden", kNT, 1024, 512, 2048},
    {"D hidden", kNN, 1024, 3072, 768},    {"D dx hidden", kNT, 1024, 768, 3072},
    {"D logits", kNT, 640, 8192, 768},     {"D features", kNN, 640, 768, 8192},
    {"A dw hidden", kTN, 128, 512, 768},   {"B dw hidden", kTN, 384, 1536, 1024},
    {"D dw hidden", kTN, 768, 3072, 1024}, {"D dw output", kTN, 3072, 768, 1024},
    {"D dw tokens", kTN, 8192, 768, 640},
};

struct Tile {
  std::int64_t rows, columns;
};
constexpr Tile kTiles[] = {{32, 128}, {64, 128}, {96, 128}, {128, 128}, {256, 128}, {512, 128}};
constexpr Tile kGradientTiles[] = {{48, 128},  {96, 128},  {192, 128}, {384, 128},
                                   {192, 256}, {384, 256}, {384, 384}, {96, 768}};
constexpr std::int64_t kTurns = 25;

/// When weights are packed: by every tile, once before all turns, or once in each turn.
enum class Packing { kByTiles, kBefore, kOnce };

double gflops(std::int64_t m, std::int64_t n, std::int64_t k, std::uint64_t ns) {
  return 2.0 * static_cast<double>(m * n * k) / static_cast<double>(ns);
}

/// S: what B holds, floats but for gradients of bf16.
template <class T, class S>
void run_whole(benchmark::State& state, const WholeProduct& s, Tile cut, Packing packing) {
  const ProductKernels<T>& table = product_kernels<T>(kernels());
  const std::unique_ptr<Gemm> gemm = make_gemm(GemmBackend::kNative, kernels());
  constexpr std::int64_t kPeak = 768;
  const AlignedBuffer<T> a = random_matrix<T>(std::max(s.m * s.k, kPeak * kPeak));
  const AlignedBuffer<S> b = random_matrix<S>(s.k * s.n);
  AlignedBuffer<float> c = random_matrix<float>(std::max(s.m * s.n, kPeak * kPeak));
  AlignedBuffer<T> packed = random_matrix<T>(packed_size<T>(s.k, s.n) + kPeak * kPeak);
  const std::int64_t lda = s.form == kTN ? s.m : s.k, ldb = s.form == kNT ? s.k : s.n;
  const auto part = [&](std::int64_t j) { return b.data() + (s.form == kNT ? j * ldb : j); };
  const auto pack = [&] {
    if constexpr (std::is_same_v<S, float>) {
      for (std::int64_t j = 0; j < s.n; j += cut.columns) {
        table.pack_weight({s.form,
                           s.k,
                           std::min(cut.columns, s.n - j),
                           {part(j), ldb},
                           packed.data() + packed_column<T>(s.k, j),
                           s.k});
      }
    }
  };
  const auto tile = [&](std::int64_t i, std::int64_t j) {
    const std::int64_t m = std::min(cut.rows, s.m - i), n = std::min(cut.columns, s.n - j);
    const T* rows = a.data() + (s.form == kTN ? i : i * lda);
    float* out = c.data() + i * s.n + j;
    if (packing == Packing::kByTiles) {
      gemm->run(
          GemmArgsOf<T, S>{s.form, m, n, s.k, {rows, lda}, {part(j), ldb}, {out, s.n}, false});
    } else {
      table.gemm_packed(
          {m, n, s.k, {rows, lda}, packed.data() + packed_column<T>(s.k, j), {out, s.n}, false});
    }
  };
  pack();
  static double peak = 0;
  double best = 0;
  for (auto _ : state) {
    const std::uint64_t start = now_ns();
    table.gemm_packed(
        {kPeak, kPeak, kPeak, {a.data(), kPeak}, packed.data(), {c.data(), kPeak}, false});
    const std::uint64_t middle = now_ns();
    if (packing == Packing::kOnce) pack();
    for (std::int64_t j = 0; j < s.n; j += cut.columns) {
      for (std::int64_t i = 0; i < s.m; i += cut.rows) tile(i, j);
    }
    const std::uint64_t ns = now_ns() - middle;
    state.SetIterationTime(1e-9 * static_cast<double>(ns));
    peak = std::max(peak, gflops(kPeak, kPeak, kPeak, middle - start));
    best = std::max(best, gflops(s.m, s.n, s.k, ns));
  }
  benchmark::DoNotOptimize(c.data());
  state.counters["GFLOP/s"] = best;
  state.counters["peak%"] = 100 * best / peak;
}

template <class Run>
void register_whole(const std::string& name, Run run) {
  benchmark::RegisterBenchmark(name.c_str(), run)
      ->UseManualTime()
      ->Iterations(kTurns)
      ->Unit(benchmark::kMicrosecond);
}

template <class T>
void register_whole_products(const std::string& type) {
  for (const WholeProduct& s : kWholeProducts) {
    const auto name = [&](Tile t) {
      return "cut/" + type + "/" + s.what + "/" + std::to_string(t.rows) + "x" +
             std::to_string(t.columns);
    };
    if (s.form == kTN) {
      for (const Tile tile : kGradientTiles) {
        register_whole(name(tile), [&s, tile](auto& state) {
          run_whole<T, T>(state, s, tile, Packing::kByTiles);
        });
      }
      continue;
    }
    for (const Tile tile : kTiles) {
      for (const Packing packing : {Packing::kByTiles, Packing::kBefore, Packing::kOnce}) {
        static const char* const kNames[] = {"/by tiles", "/packed", "/packed once a turn"};
        register_whole(
            name(tile) + kNames[static_cast<int>(packing)],
            [&s, tile, packing](auto& state) { run_whole<T, float>(state, s, tile, packing); });
      }
    }
  }
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
  register_whole_products<float>("fp32");
  register_whole_products<Bf16>("bf16");
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
