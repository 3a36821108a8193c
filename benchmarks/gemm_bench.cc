// Matrix products of a training step: one thread, GFLOP/s.
//
// Single tiles of two models, native beside oneDNN: 384 wide (6 layers, T 256) and GPT-2's 768
// (vocabulary 50304). Operands lie as in a step: leading dimensions are those of whole matrices, of
// which a tile is a part.
//
// "cut/": whole products of a layer, cut in tiles of so many rows as a step cuts them, with the
// weight packed by every tile or once before. What they report is the best of their turns; "peak%"
// is its share of the best 768-cubed product among those that run in turn with them.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

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

/// The rows of a shard times a weight [k, n], or times its transpose.
struct CutProduct {
  const char* what;
  GemmForm form;
  std::int64_t rows, n, k;
};

constexpr CutProduct kCutProducts[] = {
    {"A qkv", kNN, 768, 384, 128},       {"A output", kNN, 768, 128, 512},
    {"A dx output", kNT, 768, 512, 128}, {"A dx hidden", kNT, 768, 128, 512},
    {"B hidden", kNN, 1024, 1536, 384},  {"B dx hidden", kNT, 1024, 384, 1536},
    {"E hidden", kNN, 1024, 2048, 512},  {"E dx hidden", kNT, 1024, 512, 2048},
    {"D hidden", kNN, 1024, 3072, 768},  {"D dx hidden", kNT, 1024, 768, 3072},
    {"D logits", kNT, 640, 8192, 768},   {"D features", kNN, 640, 768, 8192},
};
constexpr std::int64_t kCutRows[] = {32, 64, 96, 128, 256, 512};
constexpr std::int64_t kCutColumns = 128;
constexpr std::int64_t kCutTurns = 25;

/// When packing happens: in every tile, once before all turns, or once in each turn.
enum class Packing { kByTiles, kBefore, kOnce };

double gflops(std::int64_t m, std::int64_t n, std::int64_t k, std::uint64_t ns) {
  return 2.0 * static_cast<double>(m * n * k) / static_cast<double>(ns);
}

void run_cut(benchmark::State& state, const CutProduct& s, std::int64_t tile_rows,
             Packing packing) {
  const KernelTable& table = kernels();
  const std::unique_ptr<Gemm> gemm = make_gemm(GemmBackend::kNative, table);
  constexpr std::int64_t kPeak = 768;
  const AlignedBuffer<float> square = random_matrix(kPeak * kPeak);
  AlignedBuffer<float> square_out(static_cast<std::size_t>(kPeak * kPeak));
  const AlignedBuffer<float> a = random_matrix(s.rows * s.k), b = random_matrix(s.k * s.n);
  AlignedBuffer<float> c = random_matrix(s.rows * s.n);
  AlignedBuffer<float> packed(static_cast<std::size_t>(packed_floats(s.k, s.n)));
  const std::int64_t ldb = s.form == kNT ? s.k : s.n;
  const auto part = [&](std::int64_t j) { return b.data() + (s.form == kNT ? j * ldb : j); };
  const auto pack = [&] {
    for (std::int64_t j = 0; j < s.n; j += kCutColumns) {
      table.pack_weight(s.form, s.k, std::min(kCutColumns, s.n - j), part(j), ldb,
                        packed.data() + packed_column(s.k, j));
    }
  };
  const auto tile = [&](std::int64_t i, std::int64_t j) {
    const std::int64_t m = std::min(tile_rows, s.rows - i), n = std::min(kCutColumns, s.n - j);
    const float* rows = a.data() + i * s.k;
    float* out = c.data() + i * s.n + j;
    if (packing == Packing::kByTiles) {
      gemm->run({s.form, m, n, s.k, rows, s.k, part(j), ldb, out, s.n, false});
    } else {
      table.gemm_packed(
          {m, n, s.k, rows, s.k, packed.data() + packed_column(s.k, j), out, s.n, false});
    }
  };
  pack();
  static double peak = 0;
  double best = 0;
  for (auto _ : state) {
    const std::uint64_t start = now_ns();
    gemm->run({kNN, kPeak, kPeak, kPeak, square.data(), kPeak, square.data(), kPeak,
               square_out.data(), kPeak, false});
    const std::uint64_t middle = now_ns();
    if (packing == Packing::kOnce) pack();
    for (std::int64_t j = 0; j < s.n; j += kCutColumns) {
      for (std::int64_t i = 0; i < s.rows; i += tile_rows) tile(i, j);
    }
    const std::uint64_t ns = now_ns() - middle;
    state.SetIterationTime(1e-9 * static_cast<double>(ns));
    peak = std::max(peak, gflops(kPeak, kPeak, kPeak, middle - start));
    best = std::max(best, gflops(s.rows, s.n, s.k, ns));
  }
  benchmark::DoNotOptimize(c.data());
  state.counters["GFLOP/s"] = best;
  state.counters["peak%"] = 100 * best / peak;
}

void register_cuts() {
  for (const CutProduct& product : kCutProducts) {
    for (const std::int64_t rows : kCutRows) {
      for (const Packing packing : {Packing::kByTiles, Packing::kBefore, Packing::kOnce}) {
        static const char* const kNames[] = {"packing", "packed", "packed once a turn"};
        const std::string name = std::string("cut/") + product.what + "/rows " +
                                 std::to_string(rows) + "/" + kNames[static_cast<int>(packing)];
        auto* bench = benchmark::RegisterBenchmark(
            name.c_str(),
            [&product, rows, packing](auto& state) { run_cut(state, product, rows, packing); });
        bench->UseManualTime()->Iterations(kCutTurns)->Unit(benchmark::kMicrosecond);
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
  register_cuts();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
