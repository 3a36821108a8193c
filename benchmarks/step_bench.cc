// Times whole training steps at the shapes that the project is compared at, on random tokens.
//
// Counters: MFU counts 6 P' + 6 L C T operations a token (P' = parameters that multiply, head
// included) against the rate of a large product on one core alone, times the active workers.
// Choose a case and a number of workers with --benchmark_filter=B_6L_6H_384/native/bf16/workers:2.
#include <benchmark/benchmark.h>

#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "cpu/allowance.h"
#include "cpu/features.h"
#include "model/initialize.h"
#include "train/gemm_peak.h"
#include "train/session.h"

namespace cllm {
namespace {

struct StepCase {
  const char* name;
  std::int64_t layers, heads, width, vocabulary, batch, sequence;
};

constexpr StepCase kCases[] = {{"A_4L_4H_128", 4, 4, 128, 65, 12, 64},
                               {"B_6L_6H_384", 6, 6, 384, 65, 64, 256},
                               {"C_gpt2_124M_4x64", 12, 12, 768, 50304, 4, 64},
                               {"D_gpt2_124M_4x512", 12, 12, 768, 50304, 4, 512},
                               {"E_6L_8H_512", 6, 8, 512, 8192, 16, 256}};

SessionConfig config_of(const StepCase& c, std::int64_t workers, GemmBackend gemm,
                        Precision precision) {
  SessionConfig config;
  config.model.layers = c.layers;
  config.model.heads = c.heads;
  config.model.width = c.width;
  config.model.positions = c.sequence;
  config.model.vocabulary = c.vocabulary;
  config.batch = c.batch;
  config.sequence = c.sequence;
  config.threads = threads_for_workers(workers);
  config.schedule.peak = 1e-4;
  config.gemm = gemm;
  config.precision = precision;
  config.allowance = allowance();
  config.tree.cores = config.allowance.most_workers();
  config.tree.cpus = config.allowance.ids();
  return config;
}

void run_case(benchmark::State& state, const StepCase& c, GemmBackend gemm, Precision precision) {
  const double peak = measure_gemm_peak(GemmBackend::kNative, kernels(), precision);
  const SessionConfig config = config_of(c, state.range(0), gemm, precision);
  Session session(config);
  initialize(config.model, session.state().layout, 1, session.state().parameters.data());
  const auto tokens = static_cast<std::size_t>(c.batch * c.sequence);
  std::vector<std::int32_t> inputs(tokens), targets(tokens);
  for (std::size_t i = 0; i < tokens; ++i) {
    const RandomBlock block = random_block(3, RandomStream::kTest, 0, i);
    const auto vocabulary = static_cast<std::uint64_t>(c.vocabulary);
    inputs[i] = static_cast<std::int32_t>(uniform_below(random_bits64(block, 0), vocabulary));
    targets[i] = static_cast<std::int32_t>(uniform_below(random_bits64(block, 1), vocabulary));
  }
  std::int64_t step = 0;
  for (; step < 2; ++step) session.step(step, inputs.data(), targets.data());  // first touch
  const double busy_before =
      static_cast<double>(session.tree().counters(session.tree().plan().workers[0]).busy_ns.get());
  double seconds = 0;
  for ([[maybe_unused]] auto turn : state) {
    const std::uint64_t start = now_ns();
    session.step(step++, inputs.data(), targets.data());
    const double took = 1e-9 * static_cast<double>(now_ns() - start);
    state.SetIterationTime(took);
    seconds += took;
  }
  const double busy =
      1e-9 * (static_cast<double>(
                  session.tree().counters(session.tree().plan().workers[0]).busy_ns.get()) -
              busy_before);
  const double flops = static_cast<double>(flops_per_token(config.model, c.sequence)) *
                       static_cast<double>(tokens) * static_cast<double>(state.iterations());
  const double gflops = 1e-9 * flops / seconds;
  state.counters["GFLOP/s"] = gflops;
  state.counters["peak"] = peak;
  state.counters["MFU%"] = 100 * gflops / (peak * session.tree().active_workers());
  state.counters["busy%"] = 100 * busy / seconds;
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(tokens));
}

void register_cases() {
  for (const StepCase& c : kCases) {
    for (GemmBackend gemm : {GemmBackend::kNative, GemmBackend::kOneDnn}) {
      if (!gemm_backend_available(gemm)) continue;
      for (Precision precision : {Precision::kFp32, Precision::kBf16}) {
        const std::string name =
            std::string(c.name) + "/" + gemm_backend_name(gemm) + "/" + precision_name(precision);
        auto* bench = benchmark::RegisterBenchmark(name.c_str(),
                                                   [&c, gemm, precision](benchmark::State& state) {
                                                     run_case(state, c, gemm, precision);
                                                   });
        bench->ArgName("workers")->UseManualTime()->Unit(benchmark::kMillisecond);
        for (int workers = 1; workers <= usable_cores(); workers *= 2) bench->Arg(workers);
      }
    }
  }
}

}  // namespace
}  // namespace cllm

int main(int argc, char** argv) {
  cllm::register_cases();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
