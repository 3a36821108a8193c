// The measurement times every kernel at its sizes, on one thread for each worker, all at the same
// time.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <string>
#include <system_error>
#include <thread>

#include "base/clock.h"
#include "cllm/error.h"
#include "cllm/machine.h"
#include "cllm/wording.h"
#include "cpu/allowance.h"
#include "cpu/features.h"
#include "machine/kernel_caller.h"
#include "sync/mpsc_queue.h"
#include "sync/parker.h"

namespace cllm {
namespace {

constexpr std::uint64_t kBatchNs = 400'000;  // long for the clock, short for a time slice
constexpr int kBatches = 11;
constexpr std::int64_t kMostKib = 96 << 10;
constexpr std::int64_t kLargeProduct = 768;

/// Returns the nanoseconds of one call: the least mean of several batches, because other work of
/// the machine only adds time.
double time_call(const std::function<void()>& call) {
  call();
  const std::uint64_t first = now_ns();
  call();
  const std::uint64_t one = std::max<std::uint64_t>(1, now_ns() - first);
  const std::uint64_t calls = std::clamp<std::uint64_t>(kBatchNs / one, 1, 20000);
  double least = std::numeric_limits<double>::infinity();
  for (int b = 0; b < kBatches; ++b) {
    const std::uint64_t start = now_ns();
    for (std::uint64_t c = 0; c < calls; ++c) call();
    least = std::min(least, static_cast<double>(now_ns() - start) / static_cast<double>(calls));
  }
  return least;
}

/// Lets threads meet before each measurement. They spin, because the first to come has nothing to
/// do, and a core that slept would start slower than a busy one.
class Meeting {
 public:
  explicit Meeting(int members) : members_(members) {}
  void arrive_and_wait() {
    const int round = round_.load();
    if (arrived_.fetch_add(1) + 1 == members_) {
      arrived_.store(0);
      round_.store(round + 1);
    }
    while (round_.load() == round) std::this_thread::yield();
  }

 private:
  const int members_;
  std::atomic<int> arrived_{0}, round_{0};
};

struct Measured {
  double gemm_gflops = 0, copy_gbs = 0;
  std::vector<KernelTime> times;
};

std::vector<std::vector<std::int64_t>> combinations(const KernelGrid& grid) {
  std::vector<std::vector<std::int64_t>> all = {{}};
  for (const auto& axis : grid.axes) {
    std::vector<std::vector<std::int64_t>> longer;
    for (const auto& sizes : all) {
      for (std::int64_t size : axis) {
        longer.push_back(sizes);
        longer.back().push_back(size);
      }
    }
    all = std::move(longer);
  }
  return all;
}

Measured measure_worker(GemmBackend backend, Meeting& meeting) {
  constexpr std::size_t kCopyBytes = std::size_t{1} << 20;
  Measured m;
  KernelCaller caller(backend, kernels(), kMostKib);
  const auto timed = [&](const std::function<void()>& call) {
    meeting.arrive_and_wait();
    return time_call(call);
  };
  const std::int64_t n = kLargeProduct;
  const auto large = caller.call(kernel_grid("gemm_nn"), {n, n, n, 1});
  double least = timed(large);  // a few ms a call: more turns, so that some are undisturbed
  for (int turn = 1; turn < 4; ++turn) least = std::min(least, timed(large));
  m.gemm_gflops = 2.0 * static_cast<double>(n * n * n) / least;
  m.copy_gbs = 2.0 * static_cast<double>(kCopyBytes) / timed(caller.copy(kCopyBytes));
  const bool bf16 = kernels().bf16_units && gemm_backend_takes_bf16(backend);
  for (Precision precision : {Precision::kFp32, Precision::kBf16}) {
    if (precision == Precision::kBf16 && !bf16) continue;
    for (const KernelGrid& grid : kernel_grids(precision)) {
      for (const auto& sizes : combinations(grid)) {
        KernelSizes call = grid.sizes(sizes);
        call.heads = 1;  // a call takes one of those side by side
        const auto moved = static_cast<double>(grid.what->bytes_moved(kernels(), call));
        const auto operations = grid.what->operations;
        m.times.push_back({grid.name, sizes, timed(caller.call(grid, sizes)), moved,
                           operations == nullptr ? 0 : operations(call)});
      }
    }
  }
  return m;
}

/// A step shares its work among the workers, so their mean counts.
Measured mean(const std::vector<Measured>& all) {
  Measured sum = all.front();
  const auto share = 1.0 / static_cast<double>(all.size());
  const auto average = [&](auto&& figure) {
    double total = 0;
    for (const Measured& m : all) total += figure(m);
    return total * share;
  };
  sum.gemm_gflops = average([](const Measured& m) { return m.gemm_gflops; });
  sum.copy_gbs = average([](const Measured& m) { return m.copy_gbs; });
  for (std::size_t t = 0; t < sum.times.size(); ++t) {
    sum.times[t].nanoseconds = average([t](const Measured& m) { return m.times[t].nanoseconds; });
  }
  return sum;
}

/// Returns the median of a few dozen messages to a sleeping thread.
double wake_us_once() {
  constexpr std::size_t kMessages = 41;
  MpscQueue<std::uint64_t> queue(4);
  Parker<> parker;
  std::vector<double> waited;
  std::thread reader([&] {
    while (waited.size() < kMessages) {
      std::uint64_t sent = 0;
      while (!queue.pop(sent)) parker.park_unless([&] { return !queue.empty(); });
      waited.push_back(1e-3 * static_cast<double>(now_ns() - sent));
    }
  });
  for (std::size_t i = 0; i < kMessages; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));  // until the reader sleeps
    queue.push(now_ns());
    parker.wake();
  }
  reader.join();
  std::nth_element(waited.begin(), waited.begin() + kMessages / 2, waited.end());
  return waited[kMessages / 2];
}

double measure_wake_us() {
  double least = std::numeric_limits<double>::infinity();
  for (int turn = 0; turn < 5; ++turn) least = std::min(least, wake_us_once());
  return least;
}

MachineRates measure_rates(std::int64_t workers, GemmBackend backend) {
  std::vector<Measured> all(static_cast<std::size_t>(workers));
  Meeting meeting(static_cast<int>(workers));
  enum class Gate { kClosed, kOpen, kGone };
  std::atomic<Gate> gate{Gate::kClosed};  // a meeting waits for all its threads
  std::vector<std::thread> threads;
  const auto end = [&](Gate how) {
    gate.store(how);
    for (std::thread& t : threads) t.join();
  };
  try {
    for (std::size_t w = 0; w < all.size(); ++w) {
      threads.emplace_back([&, w] {
        while (gate.load() == Gate::kClosed) {
          std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
        if (gate.load() == Gate::kOpen) all[w] = measure_worker(backend, meeting);
      });
    }
  } catch (const std::system_error& failed) {
    end(Gate::kGone);
    throw Error({"the system gives no more threads (" + failed.code().message() + ")",
                 std::to_string(threads.size()), std::to_string(workers), "",
                 option_word("workers", std::to_string(std::max<std::size_t>(1, threads.size()))) +
                     " works; limits: ulimit -u and -v, a container's pids.max"});
  }
  end(Gate::kOpen);
  const Measured m = mean(all);
  return {workers, m.gemm_gflops, m.copy_gbs, measure_wake_us(), m.times};
}

}  // namespace

Machine measure_machine(const std::vector<std::int64_t>& workers, const std::string& gemm) {
  std::vector<std::int64_t> counts = workers;
  std::sort(counts.begin(), counts.end());
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
  if (counts.empty() || counts.front() < 1) {
    throw InputError({"no number of workers to measure",
                      counts.empty() ? "none" : std::to_string(counts.front()), "at least 1",
                      "workers", ""});
  }
  const GemmBackend backend = choose_gemm_backend(gemm, false);
  const double needed = static_cast<double>(counts.back() * kMostKib) * 1024;
  if (needed > 0.8 * memory_limit_bytes()) {
    throw InputError({"measuring does not fit in memory",
                      std::to_string(counts.back()) + " workers of " +
                          std::to_string(kMostKib >> 10) + " MiB each",
                      "80 % of what is free at most", "workers", ""});
  }
  Machine machine;
  machine.cpu = cpu_model();
  machine.kernels = kernels().name;
  machine.gemm = describe_gemm_backend(backend, kernels());
  for (std::int64_t count : counts) machine.rates.push_back(measure_rates(count, backend));
  return machine;
}

bool measured_here(const Machine& machine) {
  return machine.cpu == cpu_model() && machine.kernels == kernels().name;
}

}  // namespace cllm
