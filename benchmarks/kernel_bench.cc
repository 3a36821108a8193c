// Every kernel of the table in every instruction set of this CPU: one thread, on half of the L2
// cache, on 16 MB, and passes over memory also on half of the L1 cache, where only the arithmetic
// takes time, and on eight times the L3 cache.
//
// Name: place/ISA/kernel. Passes report GB/s, counting what has to be read and written, and their
// share of a memcpy of as many bytes; products and attention GFLOP/s and their share of a 768-cubed
// product of packed operands of the same type and ISA. Both run in turns with the kernel, and every
// figure is of the fastest call. Operands lie as far apart as in a step: not on the same lines of
// the pages.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/clock.h"
#include "cpu/features.h"
#include "cpu/kernel_cases.h"

namespace cllm {
namespace {

constexpr std::int64_t kStagger = 13 * 64;  // bytes from the end of an operand to the next

/// A kernel with operands to call it on.
class Call {
 public:
  Call(const KernelCase& what, const KernelTable& table, const KernelSizes& sizes)
      : what_(what), table_(table), sizes_(sizes), memory_(bytes_needed()) {
    std::int64_t at = 0;
    for (int i = 0; i < what.operands(); ++i) {
      pointers_.push_back(memory_.data() + at);
      fill_operand(what.operand[i], table, sizes, static_cast<std::uint32_t>(i), pointers_.back());
      at += padded(i);
    }
  }
  void operator()() const { what_.call(table_, sizes_, {pointers_.data()}); }

 private:
  std::int64_t padded(int i) const {
    return what_.operand[i].bytes(table_, sizes_) / 64 * 64 + kStagger;
  }
  std::size_t bytes_needed() const {
    std::int64_t bytes = 0;
    for (int i = 0; i < what_.operands(); ++i) bytes += padded(i);
    return static_cast<std::size_t>(bytes);
  }

  const KernelCase& what_;
  const KernelTable& table_;
  const KernelSizes sizes_;
  AlignedBuffer<char> memory_;
  std::vector<void*> pointers_;
};

/// The nanoseconds of a call in the fastest of some batches, which take about `enough` together. A
/// batch is long against what a look at the clock takes, and as short as may be: a short one is
/// seldom interrupted. `clock` may be that of this thread for long calls.
template <class Pass>
double fastest(std::uint64_t enough, std::uint64_t (*clock)() noexcept, const Pass& pass) {
  constexpr std::uint64_t kLeastBatch = 4000;
  const auto time = [&](std::uint64_t calls) {
    const std::uint64_t start = clock();
    for (std::uint64_t i = 0; i < calls; ++i) {
      pass();
      benchmark::ClobberMemory();
    }
    return std::max<std::uint64_t>(1, clock() - start);
  };
  time(1);
  std::uint64_t all = time(1), least = all;
  const std::uint64_t calls = kLeastBatch / all + 1;
  if (calls > 1) least = ~std::uint64_t{0};
  while (all < enough) {
    const std::uint64_t batch = time(calls);
    least = std::min(least, batch);
    all += batch;
  }
  return static_cast<double>(least) / static_cast<double>(calls);
}

constexpr int kTurns = 7;
constexpr std::uint64_t kEnough = 12'000'000;

/// Turns of `pass` and of what it is measured against, until they took long enough.
template <class Pass, class Other>
void in_turns(benchmark::State& state, std::uint64_t (*clock)() noexcept, double& best,
              double& best_other, const Pass& pass, const Other& other) {
  best = best_other = HUGE_VAL;
  for ([[maybe_unused]] auto turn : state) {
    best_other = std::min(best_other, fastest(kEnough / 3, clock, other));
    best = std::min(best, fastest(kEnough, clock, pass));
    state.SetIterationTime(1e-9 * best);
  }
}

std::int64_t working_set(const KernelCase& what, const KernelTable& table, const KernelSizes& s) {
  std::int64_t bytes = 0;
  for (int i = 0; i < what.operands(); ++i) {
    if (what.operand[i].use != OperandUse::kScratch) bytes += what.operand[i].bytes(table, s);
  }
  return bytes;
}

/// Sizes such that the operands take about `bytes`: rows of 768 columns, heads of 64, cubes.
KernelSizes sizes_for(const KernelCase& what, const KernelTable& table, int variant,
                      std::int64_t bytes) {
  KernelSizes s{16, 1, 1, variant};
  if (what.shape == KernelShape::kProduct) {
    while (working_set(what, table, s) < bytes) s.columns = s.depth = s.rows += 16;
    s.columns = s.depth = s.rows -= 16;
    return s;
  }
  const bool attention = what.shape == KernelShape::kAttention;
  s.columns = attention ? 64 : 768;
  if (attention) s.depth = 256;  // rows of a sequence
  s.rows = std::max<std::int64_t>(2, s.rows * bytes / working_set(what, table, s) / 2 * 2);
  return s;
}

void run_pass(benchmark::State& state, const KernelCase& what, const KernelTable& table,
              const KernelSizes& sizes) {
  const Call call(what, table, sizes);
  const auto half = static_cast<std::size_t>(working_set(what, table, sizes) / 2);
  AlignedBuffer<char> from(half), to(half + kStagger);
  std::memset(from.data(), 1, half);
  double ns, copy_ns;
  in_turns(state, now_ns, ns, copy_ns, call,
           [&] { std::memcpy(to.data() + kStagger, from.data(), half); });
  const double rate = static_cast<double>(what.bytes_moved(table, sizes)) / ns;
  const double copy = static_cast<double>(2 * half) / copy_ns;
  state.counters["GB/s"] = rate;
  state.counters["memcpy"] = copy;
  state.counters["%"] = 100 * rate / copy;
  state.counters["ns/1000"] = 1000 * ns / static_cast<double>(sizes.rows * sizes.columns);
}

void run_work(benchmark::State& state, const KernelCase& what, const KernelTable& table,
              const KernelSizes& sizes) {
  const KernelSizes large{768, 768, 768, 0};
  const Call call(what, table, sizes);
  const KernelCase& product = kernel_case("gemm_packed", what.bf16);
  const Call peak(product, table, large);
  double ns, peak_ns;
  in_turns(state, thread_cpu_ns, ns, peak_ns, call, peak);
  const double rate = what.operations(sizes) / ns, most = product.operations(large) / peak_ns;
  state.counters["GFLOP/s"] = rate;
  state.counters["peak"] = most;
  state.counters["%"] = 100 * rate / most;
}

std::int64_t cache_bytes(int name, std::int64_t otherwise) {
  const long size = sysconf(name);
  return size > 0 ? size : otherwise;
}

void register_all() {
  const struct {
    const char* name;
    std::int64_t bytes;
    bool passes_only;
  } places[] = {{"L1", cache_bytes(_SC_LEVEL1_DCACHE_SIZE, 32 << 10) / 2, true},
                {"L2", cache_bytes(_SC_LEVEL2_CACHE_SIZE, 1 << 20) / 2, false},
                {"16MB", 16'000'000, false},
                {"memory", 8 * cache_bytes(_SC_LEVEL3_CACHE_SIZE, 32 << 20), true}};
  for (const auto& place : places) {
    for (const KernelTable* table : runnable_kernels()) {
      for (const KernelCase& what : kernel_cases()) {
        if (what.operations != nullptr && place.passes_only) continue;
        for (int variant = 0; variant < what.variant_count(); ++variant) {
          const std::string name =
              std::string(place.name) + "/" + table->name + "/" + what.name(variant);
          const std::int64_t bytes = place.bytes;
          benchmark::RegisterBenchmark(
              name.c_str(),
              [table, &what, variant, bytes](benchmark::State& state) {
                const KernelSizes s = sizes_for(what, *table, variant, bytes);
                (what.operations ? run_work : run_pass)(state, what, *table, s);
              })
              ->UseManualTime()
              ->Iterations(kTurns)
              ->Unit(benchmark::kMicrosecond);
        }
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
