// Ordered sums of 2 and 3 gradients in each instruction set beside memcpy, in memory and in L2.
//
// bytes/s counts what must move: k sources read and one written, (k + 1) * 4n; a copy moves 2 * 4n.
// All arrays together take eight times L3, or the whole of L2. As in a merge the sum goes to the
// first source. GB/s is of the best pass: the machine may have other work.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/clock.h"
#include "cpu/features.h"

namespace cllm {
namespace {

std::size_t cache_bytes(int name, std::size_t otherwise) {
  const long size = sysconf(name);
  return size > 0 ? static_cast<std::size_t>(size) : otherwise;
}

/// Times `pass`, which moves `bytes`, and reports the rate of the fastest. Small passes are
/// repeated until the clock's own cost is nothing.
template <class Pass>
void run(benchmark::State& state, std::size_t bytes, Pass pass) {
  constexpr std::size_t kEnough = std::size_t{64} << 20;
  const std::size_t turns = std::max<std::size_t>(1, kEnough / bytes);
  std::uint64_t best = ~std::uint64_t{0};
  pass();
  for ([[maybe_unused]] auto turn : state) {
    const std::uint64_t start = now_ns();
    for (std::size_t i = 0; i < turns; ++i) pass();
    best = std::min(best, now_ns() - start);
  }
  state.counters["GB/s"] = static_cast<double>(bytes * turns) / static_cast<double>(best);
}

void ordered_sum(benchmark::State& state, const KernelTable& table, int sources, std::size_t all) {
  const std::size_t n = all / sizeof(float) / static_cast<std::size_t>(sources) / 64 * 64;
  std::vector<AlignedBuffer<float>> arrays;
  std::vector<const float*> at;
  for (int s = 0; s < sources; ++s) {
    arrays.emplace_back(n);
    std::fill_n(arrays.back().data(), n, 0.0f);  // sums of many passes stay finite and normal
    at.push_back(arrays.back().data());
  }
  run(state, (static_cast<std::size_t>(sources) + 1) * n * sizeof(float), [&] {
    table.ordered_sum(n, sources, at.data(), arrays[0].data());
    benchmark::ClobberMemory();
  });
}

void copy(benchmark::State& state, std::size_t all) {
  const std::size_t n = all / sizeof(float) / 2;
  AlignedBuffer<float> from(n), to(n);
  std::fill_n(from.data(), n, 1.0f);
  run(state, 2 * n * sizeof(float), [&] {
    std::memcpy(to.data(), from.data(), n * sizeof(float));
    benchmark::ClobberMemory();
  });
}

void register_all() {
  const struct {
    const char* name;
    std::size_t bytes;
  } places[] = {{"memory", 8 * cache_bytes(_SC_LEVEL3_CACHE_SIZE, std::size_t{32} << 20)},
                {"L2", cache_bytes(_SC_LEVEL2_CACHE_SIZE, std::size_t{1} << 20)}};
  for (const auto& place : places) {
    const std::size_t bytes = place.bytes;
    const std::string where = place.name;
    benchmark::RegisterBenchmark(("memcpy/" + where).c_str(),
                                 [bytes](benchmark::State& state) { copy(state, bytes); });
    for (const KernelTable* table : runnable_kernels()) {
      for (int k : {2, 3}) {
        const std::string name =
            "ordered_sum/" + where + "/" + table->name + "/sources:" + std::to_string(k);
        benchmark::RegisterBenchmark(name.c_str(), [table, k, bytes](benchmark::State& state) {
          ordered_sum(state, *table, k, bytes);
        });
      }
    }
  }
}

}  // namespace
}  // namespace cllm

int main(int argc, char** argv) {
  cllm::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
